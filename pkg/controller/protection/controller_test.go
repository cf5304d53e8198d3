package protection

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

const driverName = "driver.example"

// world is one snapshot and one claim, both with a finalizer and of the driver.
type world struct {
	t       *testing.T
	c       *Controller
	volumes cache.Indexer

	snapshot *source.Snapshot
	content  *source.Content
	claim    *corev1.PersistentVolumeClaim
	inUse    bool
	// elsewhere is what other nodes' processes need.
	elsewhere    bool
	elsewhereErr error
	claims       []*corev1.PersistentVolumeClaim

	readErr, usersErr, writeErr error
	released                    []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	content := "content"
	w := &world{
		t: t, volumes: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{}),
		snapshot: &source.Snapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "daily", UID: "snap-uid", Finalizers: []string{names.SnapshotFinalizer}},
			Status:     source.SnapshotStatus{Content: &content},
		},
		content: &source.Content{Spec: source.ContentSpec{Driver: driverName}},
		claim: &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "original", UID: "orig-uid", Finalizers: []string{"other", names.CloneFinalizer}},
			Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: "pv"},
		},
	}
	w.volume(&corev1.CSIPersistentVolumeSource{Driver: driverName})
	w.c = New(Deps{
		Sources: w, Users: w, Volumes: corelisters.NewPersistentVolumeLister(w.volumes), Locks: &controller.VolumeLocks{},
	}, driverName)
	return w
}

// volume is that of the claim.
func (w *world) volume(from *corev1.CSIPersistentVolumeSource) {
	w.t.Helper()
	if err := w.volumes.Update(&corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv"},
		Spec:       corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: from}},
	}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) Snapshot(context.Context, string, string) (*source.Snapshot, error) {
	return w.snapshot, w.readErr
}
func (w *world) Content(context.Context, string) (*source.Content, error) {
	return w.content, w.readErr
}
func (w *world) Claim(context.Context, string, string) (*corev1.PersistentVolumeClaim, error) {
	return w.claim, w.readErr
}
func (w *world) InUse(source.Key) bool { return w.inUse }
func (w *world) Elsewhere(context.Context, source.Key) (bool, error) {
	return w.elsewhere, w.elsewhereErr
}
func (w *world) ClaimsOf(source.Key) ([]*corev1.PersistentVolumeClaim, error) {
	return w.claims, w.usersErr
}

func (w *world) Unprotect(_ context.Context, object source.Object) error {
	if w.writeErr != nil {
		return w.writeErr
	}
	w.released = append(w.released, object.String()+" "+string(object.UID))
	return nil
}

func snapshotKey() source.Key {
	return source.Key{Kind: source.KindSnapshot, Namespace: "ns", Name: "daily"}
}
func claimKey() source.Key {
	return source.Key{Kind: source.KindClaim, Namespace: "ns", Name: "original"}
}

func TestRelease(t *testing.T) {
	const snapshot, claim = "VolumeSnapshot ns/daily snap-uid", "PersistentVolumeClaim ns/original orig-uid"
	wanting := &corev1.PersistentVolumeClaim{}
	for name, test := range map[string]struct {
		change          func(*world)
		snapshot, claim bool // released
	}{
		"nobody needs them":    {func(*world) {}, true, true},
		"in use":               {func(w *world) { w.inUse = true }, false, false},
		"wanted":               {func(w *world) { w.claims = []*corev1.PersistentVolumeClaim{wanting} }, false, false},
		"gone":                 {func(w *world) { w.snapshot, w.claim = nil, nil }, false, false},
		"without a finalizer":  {func(w *world) { w.snapshot.Finalizers, w.claim.Finalizers = nil, []string{"other"} }, false, false},
		"of another driver":    {func(w *world) { w.content.Spec.Driver = "x"; w.volume(&corev1.CSIPersistentVolumeSource{Driver: "x"}) }, false, false},
		"of an in-tree plugin": {func(w *world) { w.volume(nil) }, true, false},
		"of nobody": {func(w *world) {
			w.content = nil
			_ = w.volumes.Delete(&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}})
		}, false, false},
		"of nobody, deleted": {func(w *world) {
			w.snapshot.Status.Content, w.claim.Spec.VolumeName = nil, ""
			w.snapshot.DeletionTimestamp, w.claim.DeletionTimestamp = &metav1.Time{}, &metav1.Time{}
		}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			test.change(w)
			var want []string
			if test.snapshot {
				want = append(want, snapshot)
			}
			if test.claim {
				want = append(want, claim)
			}
			for _, key := range []source.Key{snapshotKey(), claimKey()} {
				if _, err := w.c.Reconcile(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(want, w.released); diff != "" {
				t.Errorf("released (-want +got):\n%s", diff)
			}
		})
	}
}

// What can't be found out is no reason to let a source go.
func TestReleaseFails(t *testing.T) {
	for name, test := range map[string]struct {
		change   func(*world)
		terminal bool
	}{
		"unreadable": {func(w *world) { w.readErr = errors.New("away") }, false},
		"users":      {func(w *world) { w.usersErr = errors.New("no index") }, false},
		"elsewhere":  {func(w *world) { w.elsewhereErr = errors.New("no journal") }, false},
		"forbidden":  {func(w *world) { w.writeErr = apierrors.NewForbidden(schema.GroupResource{}, "x", errors.New("no")) }, true},
	} {
		for _, key := range []source.Key{snapshotKey(), claimKey()} {
			w := newWorld(t)
			test.change(w)
			if _, err := w.c.Reconcile(t.Context(), key); err == nil || controller.IsTerminal(err) != test.terminal || len(w.released) > 0 {
				t.Errorf("%s, %s: error %v, released %v", name, key, err, w.released)
			}
		}
	}
}

// A source that has changed meanwhile is decided on again at once: no later event need
// tell that its protection is to end.
func TestReleaseOfASourceThatHasChanged(t *testing.T) {
	w := newWorld(t)
	w.writeErr = apierrors.NewConflict(schema.GroupResource{}, "x", errors.New("changed"))
	if result, err := w.c.Reconcile(t.Context(), claimKey()); err != nil || !result.Again {
		t.Errorf("result %+v, error %v", result, err)
	}
}

// What a process on another node needs stays, and is looked at again.
func TestReleaseWaitsForOtherNodes(t *testing.T) {
	w := newWorld(t)
	w.elsewhere = true
	result, err := w.c.Reconcile(t.Context(), snapshotKey())
	if err != nil || result.RequeueAfter != elsewhereRetry || len(w.released) > 0 {
		t.Errorf("error %v, again after %s, released %v", err, result.RequeueAfter, w.released)
	}
	w.elsewhere = false
	if _, err := w.c.Reconcile(t.Context(), snapshotKey()); err != nil || len(w.released) != 1 {
		t.Errorf("error %v, released %v", err, w.released)
	}
}

// While a protection begins, none ends.
func TestReleaseWaitsForWhoBegins(t *testing.T) {
	w := newWorld(t)
	unlock, err := w.c.deps.Locks.Lock(t.Context(), snapshotKey().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := w.c.Reconcile(ctx, snapshotKey()); !errors.Is(err, context.DeadlineExceeded) || len(w.released) > 0 {
		t.Errorf("error %v, released %v", err, w.released)
	}
	w.inUse = true
	unlock()
	if _, err := w.c.Reconcile(t.Context(), snapshotKey()); err != nil || len(w.released) > 0 {
		t.Errorf("error %v, released %v", err, w.released)
	}
}
