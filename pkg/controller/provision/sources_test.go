package provision

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

// sources is one snapshot, and one claim to be cloned, of the claim's namespace.
type sources struct {
	snapshot *source.Snapshot
	content  *source.Content
	claim    *corev1.PersistentVolumeClaim
	grants   []*source.Grant
	// grantsErr is why they can't be read.
	grantsErr error
	err       error
	// protectErrs tell how the next protections end.
	protectErrs []error
	protected   []string
	released    []string
}

func newSources() *sources {
	content, handle, ready, class := "content", "snap-1", true, "fast"
	return &sources{
		snapshot: &source.Snapshot{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "daily", UID: "snap-uid"},
			Status:     source.SnapshotStatus{Content: &content, Ready: &ready},
		},
		content: &source.Content{
			ObjectMeta: metav1.ObjectMeta{Name: "content"},
			Spec:       source.ContentSpec{Driver: driverName, Snapshot: corev1.ObjectReference{Namespace: "ns", Name: "daily", UID: "snap-uid"}},
			Status:     source.ContentStatus{Handle: &handle},
		},
		claim: &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "original", UID: "orig-uid"},
			Spec:       corev1.PersistentVolumeClaimSpec{StorageClassName: &class, VolumeName: "pv"},
			Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
		},
	}
}

func (s *sources) Snapshot(context.Context, string, string) (*source.Snapshot, error) {
	return s.snapshot, s.err
}

func (s *sources) Content(_ context.Context, name string) (*source.Content, error) {
	if s.content != nil && s.content.Name != name {
		return nil, s.err
	}
	return s.content, s.err
}

func (s *sources) Claim(context.Context, string, string) (*corev1.PersistentVolumeClaim, error) {
	return s.claim, s.err
}

func (s *sources) Grants(string) ([]*source.Grant, error) {
	return s.grants, errors.Join(s.err, s.grantsErr)
}

func (s *sources) Protect(_ context.Context, object source.Object) error {
	if len(s.protectErrs) > 0 {
		err := s.protectErrs[0]
		s.protectErrs = s.protectErrs[1:]
		if err != nil {
			return err
		}
	}
	s.protected = append(s.protected, object.String()+" "+string(object.UID))
	return nil
}

const (
	daily    = "VolumeSnapshot ns/daily"
	original = "PersistentVolumeClaim ns/original"
)

func ofSnapshot(claim *corev1.PersistentVolumeClaim) {
	group := source.SnapshotGroup
	claim.Spec.DataSource = &corev1.TypedLocalObjectReference{APIGroup: &group, Kind: source.KindSnapshot, Name: "daily"}
}

func ofClaim(claim *corev1.PersistentVolumeClaim) {
	claim.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: source.KindClaim, Name: "original"}
}

// restoring is a world whose claim is to be made from the snapshot.
func restoring(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.setClaim(ofSnapshot)
	return w
}

// cloning is one whose claim is to be made from the other one.
func cloning(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.setClaim(ofClaim)
	w.must(w.volumes.Add(&corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv"},
		Spec: corev1.PersistentVolumeSpec{
			ClaimRef:               &corev1.ObjectReference{Namespace: "ns", Name: "original", UID: "orig-uid"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driverName, VolumeHandle: "h-0"}},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound},
	}))
	return w
}

// protections compares the calls to protect sources, and what was released.
func (w *world) protections(protected, released []string) {
	w.t.Helper()
	if diff := cmp.Diff(protected, w.sources.protected); diff != "" {
		w.t.Errorf("protected (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(released, w.sources.released); diff != "" {
		w.t.Errorf("released (-want +got):\n%s", diff)
	}
}

func list(values ...string) []string { return values }

func TestRestore(t *testing.T) {
	w := restoring(t)
	w.works()
	if got := w.driver.requests[0].GetVolumeContentSource().GetSnapshot().GetSnapshotId(); got != "snap-1" {
		t.Errorf("the driver is asked for a volume of snapshot %q", got)
	}
	if from := w.journal.last.Plans[0].Source; from == nil || from.String() != daily || from.UID != "snap-uid" {
		t.Errorf("the intent has the source %v", from)
	}
	w.protections(list(daily+" snap-uid"), list(daily))
	w.settled()
}

func TestClone(t *testing.T) {
	w := cloning(t)
	w.works()
	if got := w.driver.requests[0].GetVolumeContentSource().GetVolume().GetVolumeId(); got != "h-0" {
		t.Errorf("the driver is asked for a volume of volume %q", got)
	}
	w.protections(list(original+" orig-uid"), list(original))
	w.settled()
}

// The protection comes before the record, and lasts until the volume is stored; it
// is not looked for at each call.
func TestSourceIsProtectedAsLongAsTheAttemptLasts(t *testing.T) {
	w := restoring(t)
	w.driver.answers = []answer{makesAndFailsWith(codes.DeadlineExceeded), makesAndFailsWith(codes.Internal)}
	w.store.errs = []error{errors.New("no leader")}
	for _, words := range []string{"DeadlineExceeded", "Internal", "no leader"} {
		w.fails(words)
		w.protections(list(daily+" snap-uid"), nil)
		if !w.c.InUse(w.sources.snapshot.Object().Key) {
			t.Error("the source is not in use")
		}
	}
	w.works()
	w.protections(list(daily+" snap-uid"), list(daily))
	w.settled()
}

func TestNothingIsBegunWithoutProtection(t *testing.T) {
	for name, err := range map[string]error{"away": errors.New("no leader"), "gone": kube.ErrGone, "deleting": kube.ErrDeleting} {
		t.Run(name, func(t *testing.T) {
			w := restoring(t)
			w.sources.protectErrs = []error{err}
			w.fails(err.Error())
			w.calls()
			if len(w.journal.open) > 0 {
				t.Error("an intent is recorded")
			}
			w.works()
			w.atDriver(1)
			w.settled()
		})
	}
}

func forbidden() error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "volumesnapshots"}, "daily", errors.New("no"))
}

// Without the right to update snapshots they are restored all the same.
func TestRestoreWithoutTheRightToProtect(t *testing.T) {
	w := restoring(t)
	w.sources.protectErrs = []error{forbidden()}
	w.works()
	w.atDriver(1)
	w.settled()
}

// A clone is not made without: claims are deleted more easily than snapshots.
func TestCloneWithoutTheRightToProtect(t *testing.T) {
	w := cloning(t)
	w.sources.protectErrs = []error{forbidden()}
	w.fails("forbidden")
	w.calls()
}

// A restore under way is finished, and undone, whatever becomes of its snapshot.
func TestRestoreIsUndoneWhileItsSnapshotIsDeleted(t *testing.T) {
	w := restoring(t)
	w.driver.answers = []answer{makesAndFailsWith(codes.DeadlineExceeded), failsWith(codes.Aborted)}
	w.fails("DeadlineExceeded")
	w.sources.snapshot.DeletionTimestamp = &metav1.Time{}
	w.fails("Aborted")
	w.deleteClaim()
	w.works()
	w.sameRequests()
	w.calls("create gold", "create gold", "create gold", removing)
	w.atDriver(0)
	w.protections(list(daily+" snap-uid"), list(daily))
	w.settled()
}

// The same where the outcome is open, so that the claim is decided on again.
func TestAmbiguousRestoreGoesOnWhileItsSnapshotIsDeleted(t *testing.T) {
	for name, change := range map[string]func(*sources){
		"deleted":    func(s *sources) { s.snapshot.DeletionTimestamp = &metav1.Time{} },
		"gone":       func(s *sources) { s.snapshot = nil },
		"unreadable": func(s *sources) { s.err = errors.New("the API is away") },
	} {
		t.Run(name, func(t *testing.T) {
			w := restoring(t)
			w.driver.answers = []answer{makesAndFailsWith(codes.Internal)}
			w.fails("Internal")
			change(w.sources)
			w.works()
			w.sameRequests()
			w.atDriver(1)
			w.settled()
		})
	}
}

// After a crash the sources of the intents are in use before anything is looked at.
func TestSourcesOfIntentsAreInUse(t *testing.T) {
	w := restoring(t)
	w.driver.answers = []answer{makesAndFailsWith(codes.Unavailable), failsWith(codes.Unavailable)}
	w.fails("Unavailable")
	w.deleteClaim()
	w.crash()
	if !w.c.InUse(w.sources.snapshot.Object().Key) {
		t.Error("the source is not in use")
	}
	w.fails("Unavailable")
	// The process before may have died before the finalizer was there.
	w.protections(list(daily+" snap-uid", daily+" snap-uid"), nil)
	w.works()
	w.atDriver(0)
	w.protections(list(daily+" snap-uid", daily+" snap-uid"), list(daily))
	w.settled()
}

// What another process has begun goes on where it is too late for a protection.
func TestInheritedRestoreGoesOnUnprotected(t *testing.T) {
	for name, err := range map[string]error{"gone": kube.ErrGone, "deleting": kube.ErrDeleting, "forbidden": forbidden()} {
		t.Run(name, func(t *testing.T) {
			w := restoring(t)
			w.driver.answers = []answer{makesAndFailsWith(codes.Unavailable)}
			w.fails("Unavailable")
			w.crash()
			w.sources.protectErrs = []error{err}
			w.works()
			w.atDriver(1)
			w.settled()
		})
	}
}

// A final failure ends the use; the claim protects its source then.
func TestFailedRestoreReleasesItsSource(t *testing.T) {
	w := restoring(t)
	w.driver.answers = []answer{failsWith(codes.NotFound)}
	w.fails("NotFound")
	w.protections(list(daily+" snap-uid"), list(daily))
	w.works()
	w.protections(list(daily+" snap-uid", daily+" snap-uid"), list(daily, daily))
	w.settled()
}

// Nothing is begun without a record, so that the source is released until the next try.
func TestSourceIsReleasedWithoutARecord(t *testing.T) {
	w := restoring(t)
	w.journal.errs = []error{errors.New("no leader")}
	w.fails("no leader")
	w.protections(list(daily+" snap-uid"), list(daily))
	w.deleteClaim()
	w.works()
	w.protections(list(daily+" snap-uid"), list(daily))
	w.calls()
	w.settled()
}

func TestWhatClaimsWithSourcesWaitFor(t *testing.T) {
	snapshot := SourceChanged(source.Key{Kind: source.KindSnapshot, Namespace: "ns", Name: "daily"})
	t.Run("snapshot", func(t *testing.T) {
		w := restoring(t)
		ready := false
		w.sources.snapshot.Status.Ready = &ready
		w.waitsFor(w.fails("is not ready to use yet"), append([]controller.Dependency{snapshot}, dependencies()...)...)
		w.calls()
		ready = true
		w.works()
	})
	t.Run("grant", func(t *testing.T) {
		w := newWorld(t)
		w.c.config.Options.CrossNamespaceVolumeDataSource = true
		w.setClaim(func(claim *corev1.PersistentVolumeClaim) {
			group, namespace := source.SnapshotGroup, "other"
			claim.Spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: &group, Kind: source.KindSnapshot, Name: "daily", Namespace: &namespace}
		})
		from := SourceChanged(source.Key{Kind: source.KindSnapshot, Namespace: "other", Name: "daily"})
		w.waitsFor(w.fails("no ReferenceGrant"), append([]controller.Dependency{from, GrantsChanged("other")}, dependencies()...)...)
		w.sources.snapshot.Namespace, w.sources.content.Spec.Snapshot.Namespace = "other", "other"
		w.sources.grants = []*source.Grant{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "other"},
			Spec: source.GrantSpec{
				From: []source.GrantFrom{{Kind: source.KindClaim, Namespace: "ns"}},
				To:   []source.GrantTo{{Group: source.SnapshotGroup, Kind: source.KindSnapshot}},
			},
		}}
		w.works()
	})
}

func TestSourceThatCanNotBeRead(t *testing.T) {
	w := restoring(t)
	w.sources.err = forbidden()
	w.fails("looking at VolumeSnapshot ns/daily", "forbidden")
	if last := w.events.all[len(w.events.all)-1]; !strings.Contains(last, "forbidden") {
		t.Errorf("the event says %q", last)
	}
}

// Sources are not read for claims that have nothing to do with them.
func TestSourcesAreNotReadInVain(t *testing.T) {
	w := newWorld(t)
	w.sources.err = errors.New("read in vain")
	w.works()
	w.setClaim(func(claim *corev1.PersistentVolumeClaim) {
		ofSnapshot(claim)
		claim.Spec.VolumeName = volumeName
	})
	w.works()
}

// One volume must not end what protects another one's source.
func TestUsesAreCounted(t *testing.T) {
	u := newUses()
	one := source.Object{Key: source.Key{Kind: source.KindSnapshot, Namespace: "ns", Name: "daily"}, UID: "1"}
	if u.hold("a", one) {
		t.Error("the source is confirmed before it was protected")
	}
	u.confirm(one)
	if !u.hold("b", one) {
		t.Error("the source is not confirmed")
	}
	if two := (source.Object{Key: one.Key, UID: "2"}); u.hold("c", two) {
		t.Error("another source of the same name is confirmed")
	}
	for _, claim := range []types.UID{"a", "c"} {
		if got := u.release("nobody"); got != nil {
			t.Errorf("%v is released by nobody", got)
		}
		if got := len(u.release(claim)); got != 1 || !u.isUsed(one.Key) {
			t.Errorf("%d sources are released by %s, the last one in use: %t", got, claim, u.isUsed(one.Key))
		}
	}
	if u.release("b"); u.isUsed(one.Key) || u.hold("d", one) {
		t.Error("something is left after the last use")
	}
}

// TestSameSource: what of a claim matters to those who want to clone its volume.
func TestSameSource(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*corev1.PersistentVolumeClaim)
		want   bool
	}{
		"finalizer": {func(c *corev1.PersistentVolumeClaim) { c.Finalizers = []string{names.CloneFinalizer} }, true},
		"phase":     {func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimLost }, false},
		"volume":    {func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "other" }, false},
		"deletion":  {func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &metav1.Time{} }, false},
		"another":   {func(c *corev1.PersistentVolumeClaim) { c.UID = "other" }, false},
	} {
		old := newSources().claim
		now := old.DeepCopy()
		test.change(now)
		if got := SameSource(old, now); got != test.want {
			t.Errorf("%s: the same: %t", name, got)
		}
	}
}
