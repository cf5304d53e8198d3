package modify

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/modify"
)

// Wants tells whether a claim that changes from old to now must be looked at: it
// names another class, is bound, or is being deleted. Changes of its status do
// not count, as most of them are own writes, and would defeat the back-off. Old
// is nil for a claim that appears; it counts if there is something to do.
func Wants(old, now *corev1.PersistentVolumeClaim) bool {
	if now.Status.Phase != corev1.ClaimBound {
		return false
	}
	if old == nil || old.UID != now.UID || old.Status.Phase != corev1.ClaimBound {
		return modify.Asks(now)
	}
	return !equality.Semantic.DeepEqual(old.Spec.VolumeAttributesClassName, now.Spec.VolumeAttributesClassName) ||
		(old.DeletionTimestamp == nil) != (now.DeletionTimestamp == nil) && modify.Asks(now)
}

// ClaimShown is to be called whenever the informer shows a claim, or that it has gone.
func (c *Controller) ClaimShown(claim *corev1.PersistentVolumeClaim) { c.written.Seen(claim) }

// failed reports an error on the claim; it is retried after a back-off, or when
// what it may depend on changes.
func (c *Controller) failed(claim *corev1.PersistentVolumeClaim, err error) (controller.Result, error) {
	c.report(claim, err)
	return controller.Result{WaitFor: c.dependencies(modify.Target(claim))}, err
}

func (c *Controller) dependencies(class string) []controller.Dependency {
	return []controller.Dependency{controller.AttributesClassChanged(class), controller.DriverReconnected()}
}

func (c *Controller) report(claim *corev1.PersistentVolumeClaim, err error) {
	c.deps.Events.Warning(claim, names.ReasonVolumeModifyFailed, err.Error())
}
