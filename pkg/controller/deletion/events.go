package deletion

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/deletion"
)

// Wants tells whether a volume must be looked at: every volume of the driver, in
// node deployment every one of the own node, as what matters (phase, policy,
// finalizers) is for the planner to say.
func (c *Controller) Wants(volume *corev1.PersistentVolume) bool {
	ours := c.deps.InTree.PluginOf(volume) != "" || deletion.Concerns(volume, c.config.Driver, "")
	return ours && c.config.Home.Reaches(volume.Spec.NodeAffinity)
}

// failed reports an error on the volume; it is retried after a back-off, or when the
// driver reconnects or one of the others changes. That the program stops, or that the
// volume was changed by somebody else meanwhile, is nothing that anybody must fix.
func (c *Controller) failed(volume *corev1.PersistentVolume, err error, others ...controller.Dependency) (controller.Result, error) {
	if errors.Is(err, csi.ErrStopping) || apierrors.IsConflict(err) {
		return controller.Result{}, err
	}
	c.report(volume, err)
	return controller.Result{WaitFor: append(others, controller.DriverReconnected())}, err
}

func (c *Controller) report(volume *corev1.PersistentVolume, err error) {
	c.deps.Metrics.DeleteFailed(volume.Spec.StorageClassName)
	c.deps.Events.Warning(volume, names.ReasonVolumeFailedDelete, err.Error())
}
