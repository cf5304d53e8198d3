package deletion_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/deletion"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
)

// all returns what is done about a volume that is deleted without a failure.
func all() []string {
	return []string{"Secret vault/admin", "DeleteVolume h-1", "RemoveFinalizer pv-1", "Delete pv-1 uid-1"}
}

func TestWhatIsDone(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*corev1.PersistentVolume)
		want   []string
	}{
		"due":                             {nil, all()},
		"due, being deleted":              {terminating, all()},
		"due, made by hand":               {func(v *corev1.PersistentVolume) { delete(v.Annotations, names.ProvisionedBy) }, all()},
		"due, without the finalizer":      {unprotected, []string{"Secret vault/admin", "DeleteVolume h-1", "Delete pv-1 uid-1"}},
		"being deleted without finalizer": {func(v *corev1.PersistentVolume) { unprotected(v); terminating(v) }, nil},
		"bound":                           {bound, nil},
		"available":                       {func(v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumeAvailable }, nil},
		"failed":                          {func(v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumeFailed }, nil},
		"no phase":                        {func(v *corev1.PersistentVolume) { v.Status.Phase = "" }, nil},
		"bound, without the finalizer":    {func(v *corev1.PersistentVolume) { bound(v); unprotected(v) }, []string{"AddFinalizer pv-1"}},
		"retained":                        {retained, []string{"RemoveFinalizer pv-1"}},
		"retained, bound":                 {func(v *corev1.PersistentVolume) { retained(v); bound(v) }, []string{"RemoveFinalizer pv-1"}},
		"retained, without the finalizer": {func(v *corev1.PersistentVolume) { retained(v); unprotected(v) }, nil},
		"due, no claim":                   {func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil }, all()},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.change)
			w.succeed()
			w.expectCalls(test.want...)
			w.expectWarnings()
		})
	}
}

func TestOthersVolumesAreNotTouched(t *testing.T) {
	for name, change := range map[string]func(*corev1.PersistentVolume){
		"of another driver": func(v *corev1.PersistentVolume) { v.Spec.CSI.Driver = "other.csi.example" },
		"not CSI":           func(v *corev1.PersistentVolume) { v.Spec.CSI = nil },
		"made by another":   func(v *corev1.PersistentVolume) { v.Annotations[names.ProvisionedBy] = "other.csi.example" },
	} {
		t.Run(name, func(t *testing.T) {
			for state, as := range map[string]func(*corev1.PersistentVolume){
				"due": func(*corev1.PersistentVolume) {}, "being deleted": terminating, "unprotected": unprotected,
				"retained": retained, "bound, unprotected": func(v *corev1.PersistentVolume) { bound(v); unprotected(v) },
			} {
				w := newWorld(t, func(v *corev1.PersistentVolume) { change(v); as(v) })
				w.attachedTo = []string{"node-a"}
				w.succeed()
				w.expectCalls()
				w.expectWarnings()
				if volume, err := w.deps.Volumes.Get("pv-1"); err != nil || w.subject.Wants(volume) {
					t.Errorf("%s: the volume is wanted (%v)", state, err)
				}
			}
		})
	}
	if !newWorld(t, nil).subject.Wants(newVolume()) {
		t.Error("the driver's own volume is not wanted")
	}
}

func TestVolumeThatIsNotThere(t *testing.T) {
	w := newWorld(t, func(v *corev1.PersistentVolume) { v.Name = "pv-2" })
	w.succeed()
	w.expectCalls()
}

func TestAttachedVolumeWaits(t *testing.T) {
	w := newWorld(t, nil)
	w.attachedTo = []string{"node-b", "node-a"}
	const message = `PersistentVolume "pv-1" is still attached to node node-a, node-b: it is deleted as soon as its VolumeAttachment is gone`
	result, err := w.reconcile()
	if err == nil || err.Error() != message || !controller.IsTerminal(err) {
		t.Errorf("the error is %v (terminal: %t), want %q", err, controller.IsTerminal(err), message)
	}
	want := controller.Result{
		RequeueAfter: pause,
		WaitFor:      []controller.Dependency{{Kind: "VolumeAttachment", Name: "pv-1"}},
	}
	if diff := cmp.Diff(want, result); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if controller.Detached("pv-1") != want.WaitFor[0] {
		t.Errorf("%v wakes the volume, which waits for %v", controller.Detached("pv-1"), want.WaitFor)
	}
	w.expectCalls()
	w.expectWarnings(message)

	w.attachedTo = nil
	w.succeed()
	w.expectCalls(all()...)
}

func TestAttachmentsOfDriverWithoutPublishing(t *testing.T) {
	w := newWorld(t, nil)
	w.config.Capabilities.PublishUnpublish = false
	w.subject = deletion.New(w.deps, w.config)
	w.attachedTo = []string{"node-a"}
	w.succeed()
	w.expectCalls(all()...)
}

func TestRejected(t *testing.T) {
	for name, test := range map[string]struct {
		capabilities capability.Set
		missing      string
	}{
		"no controller":    {capability.Set{CreateDelete: true}, "plugin capability CONTROLLER_SERVICE"},
		"no DeleteVolume":  {capability.Set{ControllerService: true}, "controller capability CREATE_DELETE_VOLUME"},
		"attached as well": {capability.Set{PublishUnpublish: true}, "plugin capability CONTROLLER_SERVICE"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.config.Capabilities = test.capabilities
			w.subject = deletion.New(w.deps, w.config)
			w.attachedTo = []string{"node-a"}
			message := `CSI driver "block.csi.example" can't delete volumes: it does not report the ` + test.missing
			w.failing(message, controller.ClassChanged("fast"))
			w.expectCalls()
			w.expectWarnings(message)
		})
	}
}

// A volume that another PersistentVolume has, too, such as one made by hand, is not deleted
// with the first of them.
func TestSharedVolume(t *testing.T) {
	again := func(change func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
		volume := newVolume()
		volume.Name, volume.UID = "by-hand", "uid-2"
		change(volume)
		return volume
	}
	for name, test := range map[string]struct {
		other  *corev1.PersistentVolume
		shared bool
	}{
		"bound":                 {again(bound), true},
		"retained":              {again(retained), true},
		"to be deleted as well": {again(func(*corev1.PersistentVolume) {}), false},
		"of another volume":     {again(func(v *corev1.PersistentVolume) { bound(v); v.Spec.CSI.VolumeHandle = "h-2" }), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.put(w.volumes, test.other)
			if !test.shared {
				w.succeed()
				w.expectCalls(all()...)
				return
			}
			message := `volume "h-1" is not deleted for PersistentVolume "pv-1", as it is also that of PersistentVolume by-hand: to keep the volume, set the reclaim policy of "pv-1" to Retain and delete it; to delete the volume, delete the other ones first`
			w.failing(message, controller.ClassChanged("fast"))
			w.expectCalls()
			w.expectWarnings(message)
			if err := w.volumes.Delete(test.other); err != nil {
				t.Fatal(err)
			}
			w.succeed()
			w.expectCalls(all()...)
		})
	}
}

// The Secret of a volume that does not name one is that of its class.
func TestSecret(t *testing.T) {
	const prefix = names.ParameterPrefix + "provisioner-secret-"
	unnamed := func(v *corev1.PersistentVolume) { delete(v.Annotations, names.DeletionSecretName) }
	rest := all()[1:]
	for name, test := range map[string]struct {
		change func(*corev1.PersistentVolume)
		class  map[string]string
		want   []string // before DeleteVolume
	}{
		"named":                      {nil, nil, []string{"Secret vault/admin"}},
		"named, the class has one":   {nil, map[string]string{prefix + "name": "b", prefix + "namespace": "b"}, []string{"Secret vault/admin"}},
		"none is needed":             {func(v *corev1.PersistentVolume) { v.Annotations[names.DeletionSecretName] = "" }, nil, nil},
		"unnamed, no class":          {unnamed, nil, nil},
		"unnamed, class without one": {unnamed, map[string]string{"tier": "gold"}, nil},
		"unnamed, class with one": {
			unnamed, map[string]string{prefix + "name": "${pvc.name}", prefix + "namespace": "${pvc.namespace}"},
			[]string{"Secret team-a/data"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.change)
			if test.class != nil {
				w.addClass(test.class)
			}
			w.succeed()
			w.expectCalls(append(test.want, rest...)...)
			if (w.credentials["password"] == password) != (test.want != nil) {
				t.Errorf("the driver is given %d values", len(w.credentials))
			}
		})
	}
}

func TestSecretThatCannotBeResolved(t *testing.T) {
	w := newWorld(t, func(v *corev1.PersistentVolume) { v.Annotations = nil })
	w.addClass(map[string]string{names.ParameterPrefix + "provisioner-secret-name": "admin"})
	result, err := w.reconcile()
	if err == nil || !slices.Contains(result.WaitFor, controller.ClassChanged("fast")) {
		t.Errorf("the error is %v, waiting for %v, want one that waits for the class", err, result.WaitFor)
	}
	w.expectCalls()
	if len(w.events) != 1 {
		t.Errorf("events are %q, want one", w.events)
	}
	w.addClass(nil) // It is fixed.
	w.succeed()
	w.expectCalls(all()[1:]...)
}

// Secrets often go together with the claims.
func TestSecretThatCannotBeRead(t *testing.T) {
	resource := schema.GroupResource{Resource: "secrets"}
	for name, err := range map[string]error{
		"missing":   apierrors.NewNotFound(resource, "admin"),
		"forbidden": apierrors.NewForbidden(resource, "admin", errors.New("no role")),
		"timeout":   context.DeadlineExceeded,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.fail["Secret"] = err
			w.succeed()
			w.expectCalls(all()...)
			w.expectWarnings()
			if w.credentials != nil {
				t.Errorf("the driver is given %d values", len(w.credentials))
			}
		})
	}
}

func TestVolumeThatTheDriverDoesNotKnow(t *testing.T) {
	w := newWorld(t, nil)
	w.fail["DeleteVolume"] = status.Error(codes.NotFound, "no such volume")
	w.succeed()
	w.expectCalls(all()...)
	w.expectWarnings()
}

func TestDriverFails(t *testing.T) {
	for _, code := range []codes.Code{
		codes.Canceled, codes.Unknown, codes.InvalidArgument, codes.DeadlineExceeded, codes.PermissionDenied,
		codes.FailedPrecondition, codes.Aborted, codes.Internal, codes.Unavailable, codes.Unauthenticated,
	} {
		t.Run(code.String(), func(t *testing.T) {
			w := newWorld(t, nil)
			w.fail["DeleteVolume"] = status.Error(code, "no")
			message := `deleting volume "h-1" at CSI driver "block.csi.example": ` + code.String() + ": no"
			w.failing(message)
			// A Secret that was of no use is read anew.
			w.expectCalls("Secret vault/admin", "DeleteVolume h-1", "Forget vault/admin")
			w.expectWarnings(message)

			clear(w.fail)
			w.succeed()
			w.expectCalls(all()...)
		})
	}
}

// The object goes last, so that nothing is forgotten; deleting the volume once
// more does no harm.
func TestAPIServerFails(t *testing.T) {
	for call, want := range map[string][]string{
		"RemoveFinalizer": all()[:3],
		"Delete":          all(),
	} {
		t.Run(call, func(t *testing.T) {
			w := newWorld(t, nil)
			w.fail[call] = errors.New("etcd has no leader")
			w.failing("etcd has no leader")
			w.expectCalls(want...)
			w.expectWarnings("etcd has no leader")
			clear(w.fail)
			w.succeed()
			w.expectCalls(all()...)
		})
	}
}

// Finalizers are set to what was read: a conflict is for the queue to retry, and
// no news for anybody.
func TestFinalizerConflicts(t *testing.T) {
	for call, change := range map[string]func(*corev1.PersistentVolume){
		"AddFinalizer":    func(v *corev1.PersistentVolume) { bound(v); unprotected(v) },
		"RemoveFinalizer": retained,
	} {
		t.Run(call, func(t *testing.T) {
			w := newWorld(t, change)
			conflict := errors.New("conflict")
			w.fail[call] = conflict
			if _, err := w.reconcile(); !errors.Is(err, conflict) || controller.IsTerminal(err) {
				t.Errorf("the error is %v, want %v", err, conflict)
			}
			w.expectCalls(call + " pv-1")
			w.expectWarnings()
		})
	}
}

// The volume's phase changes at the same time as its claim goes, so that the volume
// that was read is often not the newest one.
func TestConflictAfterTheVolumeIsDeleted(t *testing.T) {
	w := newWorld(t, nil)
	w.fail["RemoveFinalizer"] = fmt.Errorf("writing: %w", apierrors.NewConflict(schema.GroupResource{Resource: "persistentvolumes"}, "pv-1", errors.New("it has changed")))
	if _, err := w.reconcile(); !apierrors.IsConflict(err) || controller.IsTerminal(err) {
		t.Errorf("the error is %v, want a conflict, to be tried again", err)
	}
	w.expectWarnings()
	clear(w.fail)
	w.succeed()
}

func TestLockHeedsTheContext(t *testing.T) {
	w := newWorld(t, nil)
	unlock, err := w.deps.Locks.Lock(t.Context(), "claim-1")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.subject.Reconcile(ctx, "pv-1"); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v, want %v", err, context.Canceled)
	}
	w.expectCalls()
}

func TestAttachmentsCannotBeRead(t *testing.T) {
	w := newWorld(t, nil)
	broken := errors.New("no index")
	w.fail["AttachedTo"] = broken
	if _, err := w.reconcile(); !errors.Is(err, broken) {
		t.Errorf("the error is %v, want %v", err, broken)
	}
	w.expectCalls()
}

// The informer may show a deleted volume for a while.
func TestStaleInformer(t *testing.T) {
	w := newWorld(t, nil)
	w.succeed()
	w.expectCalls(all()...)
	w.succeed()
	w.put(w.volumes, func() any { v := newVolume(); terminating(v); return v }())
	w.succeed()
	w.expectCalls()

	// Another one of the same name is another volume.
	w.put(w.volumes, func() any { v := newVolume(); v.UID = "uid-2"; return v }())
	w.succeed()
	w.expectCalls("Secret vault/admin", "DeleteVolume h-1", "RemoveFinalizer pv-1", "Delete pv-1 uid-2")

	// What has gone is no longer expected to go.
	w.put(w.volumes, newVolume())
	w.succeed()
	w.expectCalls()
	w.subject.VolumeGone("uid-1")
	w.succeed()
	w.expectCalls(all()...)
}

// All that is done about one volume takes turns, by the UID of its claim.
func TestLock(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*corev1.PersistentVolume)
		uid    string
	}{
		"claim":             {nil, "claim-1"},
		"no claim":          {func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil }, "uid-1"},
		"claim without UID": {func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "" }, "uid-1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, test.change)
				unlock, err := w.deps.Locks.Lock(t.Context(), test.uid)
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					w.succeed()
				}()
				synctest.Wait()
				if len(w.calls) > 0 {
					t.Errorf("the lock is not waited for: %q", w.calls)
				}
				unlock()
				<-done
				w.expectCalls(all()...)
			})
		})
	}
}
