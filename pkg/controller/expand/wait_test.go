package expand_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
)

// What was decided is checked when the call's turn has come.
func TestThingsChangeDuringTheWait(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"the claim is deleted": func(w *world) {
			w.another(func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &metav1.Time{Time: w.clock.Now()} })
		},
		"the claim has gone": func(w *world) { w.claim = nil },
		"the claim is replaced": func(w *world) {
			w.another(func(c *corev1.PersistentVolumeClaim) { c.UID = "claim-2" })
		},
		"the claim is lost": func(w *world) {
			w.another(func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimLost })
		},
		"the volume has gone": func(w *world) { w.volume = nil },
		"the volume is replaced": func(w *world) {
			w.anotherVolume(func(v *corev1.PersistentVolume) { v.UID = "volume-2" })
		},
		"the volume is another claim's": func(w *world) {
			w.anotherVolume(func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "claim-2" })
		},
		"the handle is another": func(w *world) {
			w.anotherVolume(func(v *corev1.PersistentVolume) { v.Spec.CSI.VolumeHandle = "other" })
		},
		"the secret is another": func(w *world) {
			w.anotherVolume(func(v *corev1.PersistentVolume) { v.Spec.CSI.ControllerExpandSecretRef.Name = "other" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).start()
			w.atSlot = func() {
				change(w)
				w.sync()
			}
			result := w.succeed()
			if diff := cmp.Diff(controller.Result{Again: true}, result); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			w.expect(w1, resizing)
			if len(w.forgotten) > 0 {
				t.Errorf("%v was not used, and is forgotten", w.forgotten)
			}
		})
	}
}

// A claim that shows the attempt keeps to its size (KEP-1790). Without the gate it
// shows none, so that the newer size counts.
func TestSizeChangesDuringTheWait(t *testing.T) {
	for _, recovers := range []bool{true, false} {
		w := newWorld(t)
		w.config.Options.RecoverVolumeExpansionFailure = recovers
		w.start()
		w.atSlot = func() {
			w.atSlot = nil
			w.request("9Gi")
			w.sync()
			w.answer(9*gi, true)
		}
		if result := w.succeed(); result.Again == recovers || w.calls() == 0 == recovers {
			t.Errorf("recovers: %t: the result is %+v, and the driver was called %d times", recovers, result, w.calls())
		}
		w.journal = nil
		if w.succeed(); !recovers && (len(w.journal) == 0 || w.journal[0] != "expand handle to 9Gi with [password username]") {
			t.Errorf("then this is done: %q", w.journal)
		}
	}
}

// The gate for volumes in use is not opened by a call that was not made.
func TestVolumeInUseIsStillMarkedAfterTheWait(t *testing.T) {
	w := newWorld(t).start()
	w.fail(occupied())
	_, _ = w.reconcile()
	w.sync()
	w.atSlot = func() {
		w.anotherVolume(func(v *corev1.PersistentVolume) { v.Spec.CSI.VolumeHandle = "other" })
		w.sync()
	}
	if result := w.succeed(); !result.Again {
		t.Errorf("the result is %+v", result)
	}
	w.atSlot, w.using, w.journal = nil, []string{"web-0"}, nil
	if _, err := w.reconcile(); !controller.IsTerminal(err) || w.calls() > 0 {
		t.Errorf("the error is %v; done was %q", err, w.journal)
	}
}
