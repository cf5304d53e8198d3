package expand

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/expand"
)

// The dependencies that claims wait for.

// PodEnded is woken when a pod of the namespace has ended.
func PodEnded(namespace string) controller.Dependency {
	return controller.Dependency{Kind: "Pods", Name: namespace}
}

// Wants tells whether a claim that changes from old to now must be looked at:
// when what it asks for, or what it has, changes, and when the node has ended its
// part. Own writes, which tell how far the expansion is, don't count: they would
// defeat the back-off. Old is nil for a claim that appears.
func Wants(old, now *corev1.PersistentVolumeClaim) bool {
	if now.Spec.VolumeName == "" || now.Status.Phase != corev1.ClaimBound {
		return false
	}
	if old == nil {
		return unfinished(now)
	}
	return old.Status.Phase != now.Status.Phase ||
		old.UID != now.UID ||
		(old.DeletionTimestamp == nil) != (now.DeletionTimestamp == nil) ||
		!equality.Semantic.DeepEqual(old.Spec.Resources, now.Spec.Resources) ||
		!equality.Semantic.DeepEqual(old.Status.Capacity, now.Status.Capacity) ||
		nodeEnded(old, now)
}

// unfinished tells whether there may be something to do about a claim.
func unfinished(claim *corev1.PersistentVolumeClaim) bool {
	requested, has := claim.Spec.Resources.Requests[corev1.ResourceStorage], claim.Status.Capacity[corev1.ResourceStorage]
	return requested.Cmp(has) > 0 || state(claim) != ""
}

// nodeEnded tells whether the kubelet has written that its part is over.
func nodeEnded(old, now *corev1.PersistentVolumeClaim) bool {
	switch state(now) {
	case "", corev1.PersistentVolumeClaimNodeResizeInfeasible:
		return state(old) != state(now)
	default:
		return false
	}
}

// Annotated tells whether a volume carries the size that it had before it was expanded.
func Annotated(volume *corev1.PersistentVolume) bool {
	_, ok := volume.Annotations[names.PreResizeCapacity]
	return ok
}

func state(claim *corev1.PersistentVolumeClaim) corev1.ClaimResourceStatus {
	return claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage]
}

// failed reports an error on the claim; it is retried after a back-off.
func (c *Controller) failed(in expand.Input, err error) (controller.Result, error) {
	if errors.Is(err, csi.ErrStopping) {
		return controller.Result{}, err // nothing that anybody must fix
	}
	c.report(in.Claim, err)
	return controller.Result{WaitFor: []controller.Dependency{controller.DriverReconnected()}}, err
}

// waiting reports what the claim waits for; it is looked at again when a pod of
// its namespace ends, or the volume is detached.
func (c *Controller) waiting(in expand.Input, err error) (controller.Result, error) {
	c.report(in.Claim, err)
	return controller.Result{
		RequeueAfter: c.config.InfeasibleRetry,
		WaitFor:      []controller.Dependency{PodEnded(in.Claim.Namespace), controller.Detached(in.Volume.Name)},
	}, controller.Terminal(err)
}

// infeasible reports that the driver will not expand the volume to that size.
func (c *Controller) infeasible(in expand.Input, err error) (controller.Result, error) {
	c.report(in.Claim, fmt.Errorf("%w: this size is tried again in %s; request another one to go on at once, of more than the claim has now", err, c.config.InfeasibleRetry))
	return controller.Result{RequeueAfter: c.config.InfeasibleRetry}, controller.Terminal(err)
}

func (c *Controller) report(claim *corev1.PersistentVolumeClaim, err error) {
	c.deps.Events.Warning(claim, names.ReasonVolumeResizeFailed, err.Error())
}
