package deletion_test

import (
	"context"
	"errors"
	"path"
	"testing"
	"testing/synctest"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/deletion"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// meanwhile is what may happen while the controller waits.
func (w *world) meanwhile(change func(*corev1.PersistentVolume)) func() {
	return func() {
		volume := newVolume()
		change(volume)
		w.put(w.volumes, volume)
	}
}

// reconcileAgain reconciles the volume, which must only be reconciled once more then.
func (w *world) reconcileAgain() {
	w.t.Helper()
	result, err := w.reconcile()
	if diff := cmp.Diff(controller.Result{Again: true}, result); err != nil || diff != "" {
		w.t.Errorf("the error is %v, the result (-want +got):\n%s", err, diff)
	}
}

// Whatever the volume was when it was decided about: what counts is what it is when
// the driver is called.
func TestVolumeChangesDuringTheWait(t *testing.T) {
	anotherUID := func(v *corev1.PersistentVolume) { v.UID = "uid-2" }
	for name, test := range map[string]struct {
		change func(w *world) func()
		want   []string // what is done in the end
	}{
		"retained": {func(w *world) func() { return w.meanwhile(retained) }, []string{"RemoveFinalizer pv-1"}},
		"bound":    {func(w *world) func() { return w.meanwhile(bound) }, nil},
		"being deleted without finalizer": {func(w *world) func() {
			return w.meanwhile(func(v *corev1.PersistentVolume) { unprotected(v); terminating(v) })
		}, nil},
		"gone": {func(w *world) func() {
			return func() {
				if err := w.volumes.Delete(newVolume()); err != nil {
					t.Fatal(err)
				}
			}
		}, nil},
		"replaced": {func(w *world) func() {
			return w.meanwhile(func(v *corev1.PersistentVolume) { anotherUID(v); bound(v) })
		}, nil},
		"another handle": {func(w *world) func() {
			return w.meanwhile(func(v *corev1.PersistentVolume) { v.Spec.CSI.VolumeHandle = "h-2" })
		}, []string{"Secret vault/admin", "DeleteVolume h-2", "RemoveFinalizer pv-1", "Delete pv-1 uid-1"}},
		"another secret": {func(w *world) func() {
			return w.meanwhile(func(v *corev1.PersistentVolume) { v.Annotations[names.DeletionSecretName] = "other" })
		}, []string{"Secret vault/other", "DeleteVolume h-1", "RemoveFinalizer pv-1", "Delete pv-1 uid-1"}},
	} {
		for _, wait := range []string{"slot", "settle"} {
			t.Run(name+" at the "+wait, func(t *testing.T) {
				w := newWorld(t, nil)
				w.waits = map[string]func(){wait: test.change(w)}
				w.reconcileAgain()
				w.expectCalls("Secret vault/admin")
				w.waits = nil
				w.succeed()
				w.expectCalls(test.want...)
				w.expectWarnings()
			})
		}
	}
}

// A volume that is attached again must stay.
func TestVolumeIsAttachedDuringTheWait(t *testing.T) {
	w := newWorld(t, nil)
	w.waits = map[string]func(){"slot": func() { w.attachedTo = []string{"node-a"} }}
	w.reconcileAgain()
	w.expectCalls("Secret vault/admin")
	w.expectWarnings()
	if result, err := w.reconcile(); !controller.IsTerminal(err) || len(result.WaitFor) != 1 {
		t.Errorf("the result is %+v, %v, want to wait for the detachment", result, err)
	}
	w.expectCalls()
}

// A change that does not matter to the decision is no reason to decide again.
func TestOtherChangesDuringTheWait(t *testing.T) {
	w := newWorld(t, nil)
	w.waits = map[string]func(){"slot": w.meanwhile(func(v *corev1.PersistentVolume) {
		terminating(v)
		v.Labels = map[string]string{"a": "b"}
	})}
	w.succeed()
	w.expectCalls(all()...)
}

// A finalizer that is no longer to go stays, whatever was decided before.
func TestPolicyChangesWhileTheFinalizerWaits(t *testing.T) {
	w := newWorld(t, retained)
	w.waits = map[string]func(){"settle": w.meanwhile(bound)}
	w.reconcileAgain()
	w.expectCalls()
	w.waits = nil
	w.succeed()
	w.expectCalls()
}

// The volume is read when its lock is held, not before.
func TestVolumeChangesDuringTheWaitForTheLock(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*corev1.PersistentVolume)
		again  bool
		want   []string
	}{
		"retained": {retained, false, []string{"RemoveFinalizer pv-1"}},
		"of another claim": {func(v *corev1.PersistentVolume) {
			v.UID, v.Spec.ClaimRef.UID = "uid-2", "claim-2"
		}, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				unlock, err := w.deps.Locks.Lock(t.Context(), "claim-1")
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan controller.Result)
				go func() {
					result, _ := w.reconcile()
					done <- result
				}()
				synctest.Wait()
				w.meanwhile(test.change)()
				unlock()
				if result := <-done; result.Again != test.again {
					t.Errorf("the result is %+v, want again: %t", result, test.again)
				}
				w.expectCalls(test.want...)
			})
		})
	}
}

// slow is a driver that takes half a minute for each call.
type slow struct {
	grpc.ClientConnInterface
	handles []string
}

func (s *slow) Invoke(_ context.Context, method string, request, _ any, _ ...grpc.CallOption) error {
	if path.Base(method) != "DeleteVolume" {
		return errors.New("not expected")
	}
	time.Sleep(30 * time.Second)
	s.handles = append(s.handles, request.(*csipb.DeleteVolumeRequest).GetVolumeId())
	return nil
}

// With the real limit, an administrator saves the data while the call waits.
func TestVolumeIsRetainedBeforeItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, driver := newWorld(t, nil), &slow{}
		one := csi.Budgets{csipb.Controller_DeleteVolume_FullMethodName: {Calls: 1}}
		w.deps.Driver = csi.NewDriver(csi.Chain(driver, csi.Limit(one, nil), csi.CheckStill))
		w.subject = deletion.New(w.deps, w.config)
		go func() {
			_ = w.deps.Driver.DeleteVolume(t.Context(), &csipb.DeleteVolumeRequest{VolumeId: "h-0"})
		}()
		synctest.Wait()
		time.AfterFunc(10*time.Second, w.meanwhile(retained))
		w.reconcileAgain()
		w.succeed()
		w.expectCalls("Secret vault/admin", "RemoveFinalizer pv-1")
		if diff := cmp.Diff([]string{"h-0"}, driver.handles); diff != "" {
			t.Errorf("deleted (-want +got):\n%s", diff)
		}
	})
}
