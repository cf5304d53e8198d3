package modify_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
)

// What was decided is checked when the call's turn has come.
func TestThingsChangeDuringTheWait(t *testing.T) {
	volume := func(change func(v *corev1.PersistentVolume)) func(*rig) {
		return func(r *rig) {
			changed := r.volume.DeepCopy()
			change(changed)
			r.put(r.volumes, changed)
		}
	}
	for name, change := range map[string]func(r *rig){
		"the claim is deleted": func(r *rig) {
			r.change(func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &metav1.Time{Time: r.clock.Now()} })
		},
		"the claim has gone": func(r *rig) { r.drop(r.claims, r.claim) },
		"the claim is replaced": func(r *rig) {
			r.change(func(c *corev1.PersistentVolumeClaim) { c.UID = "uid-9" })
		},
		"the volume has gone":           func(r *rig) { r.drop(r.volumes, r.volume) },
		"the volume is replaced":        volume(func(v *corev1.PersistentVolume) { v.UID = "uid-9" }),
		"the volume is another claim's": volume(func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "uid-9" }),
		"the handle is another":         volume(func(v *corev1.PersistentVolume) { v.Spec.CSI.VolumeHandle = "other" }),
		"the secret is another":         volume(func(v *corev1.PersistentVolume) { v.Spec.CSI.ControllerExpandSecretRef.Name = "other" }),
		"the class has gone": func(r *rig) {
			r.drop(r.classes, &storagev1.VolumeAttributesClass{ObjectMeta: metav1.ObjectMeta{Name: "gold"}})
		},
		"the class is made anew": func(r *rig) {
			r.put(r.classes, &storagev1.VolumeAttributesClass{
				ObjectMeta: metav1.ObjectMeta{Name: "gold"}, DriverName: driverName, Parameters: map[string]string{"tier": "other"},
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := asking(t)
			r.atSlot = func() { change(r) }
			result, err := r.reconcile()
			if diff := cmp.Diff(controller.Result{Again: true}, result); err != nil || diff != "" {
				t.Errorf("the error is %v, the result (-want +got):\n%s", err, diff)
			}
			if calls, failures := r.count("driver"), r.count("event: Warning"); calls+failures > 0 {
				t.Errorf("what was done: %q", r.log)
			}
		})
	}
}

// A claim that shows the modification keeps to its class (KEP-3751): the driver may
// have been asked for it before.
func TestClassChangesDuringTheWait(t *testing.T) {
	r := asking(t)
	r.atSlot = func() {
		r.atSlot = nil
		r.want("silver")
	}
	if result, err := r.reconcile(); err != nil || result.Again || r.count("driver") == 0 {
		t.Errorf("the result is %+v, %v: %q", result, err, r.log)
	}
}

func (r *rig) drop(indexer interface{ Delete(any) error }, object any) {
	if err := indexer.Delete(object); err != nil {
		r.t.Error(err)
	}
}
