package provision

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// The dependencies that claims wait for.

// ClassChanged is woken when the class of that name appears, changes or goes.
func ClassChanged(name string) controller.Dependency {
	return controller.Dependency{Kind: "StorageClass", Name: name}
}

// ClassDiffers tells whether a class that changes from old to now is another one, or
// asks for something else; what its metadata says has no bearing on volumes. Old is
// nil for one that appears.
func ClassDiffers(old, now *storagev1.StorageClass) bool {
	if old == nil || old.UID != now.UID {
		return true
	}
	before, after := *old, *now
	before.ObjectMeta, after.ObjectMeta = metav1.ObjectMeta{}, metav1.ObjectMeta{}
	return !equality.Semantic.DeepEqual(before, after)
}

// TopologyChanged is woken when the places of the cluster change.
func TopologyChanged() controller.Dependency { return controller.Dependency{Kind: "Topology"} }

// NodeChanged is woken when the place of a node changes, or the topology keys that
// the driver has registered there.
func NodeChanged(name string) controller.Dependency {
	return controller.Dependency{Kind: "Node", Name: name}
}

func nodeDependencies(claim *corev1.PersistentVolumeClaim) []controller.Dependency {
	if node := provision.SelectedNode(claim); node != "" {
		return []controller.Dependency{NodeChanged(node)}
	}
	return nil
}

// DriverBack is woken when the driver has come back.
func DriverBack() controller.Dependency { return controller.Dependency{Kind: "Driver"} }

const reasonSucceeded = names.ReasonProvisioningSucceeded

// Wants tells whether a claim that changes from old to now must be looked at.
// What changes while the claim waits for its volume without a bearing on it,
// above all own and others' status, does not count: it would defeat the
// back-off. Old is nil for a claim that appears.
func Wants(driver provision.Driver, old, now *corev1.PersistentVolumeClaim) bool {
	if !driver.IsAsked(now) {
		// It may have been ours, with an attempt under way.
		return old != nil && driver.IsAsked(old)
	}
	if old == nil {
		return now.Spec.VolumeName == ""
	}
	return !equality.Semantic.DeepEqual(old.Spec, now.Spec) ||
		!equality.Semantic.DeepEqual(old.Annotations, now.Annotations) ||
		(old.DeletionTimestamp == nil) != (now.DeletionTimestamp == nil) ||
		old.UID != now.UID
}

// failed reports an error on the claim; it is retried after a back-off, or when
// what it may depend on changes.
func (c *Controller) failed(claim *corev1.PersistentVolumeClaim, err error) (controller.Result, error) {
	c.report(claim, err)
	return controller.Result{WaitFor: c.dependencies(claim)}, err
}

// infeasible reports that the driver calls the request invalid. Trying again
// soon is of no use; a change of the claim, or of what it names, may be.
func (c *Controller) infeasible(claim *corev1.PersistentVolumeClaim, err error) (controller.Result, error) {
	c.report(claim, fmt.Errorf("%w: the driver calls the request invalid, so it is tried again in %s only, or when the claim or one of its classes changes", err, c.config.InfeasibleRetry))
	return controller.Result{RequeueAfter: c.config.InfeasibleRetry, WaitFor: c.dependencies(claim)}, controller.Terminal(err)
}

func (c *Controller) dependencies(claim *corev1.PersistentVolumeClaim) []controller.Dependency {
	return slices.Concat(sourceDependencies(claim), []controller.Dependency{ClassChanged(provision.ClassName(claim)), TopologyChanged(), DriverBack()},
		nodeDependencies(claim), attributesDependencies(claim))
}

func (c *Controller) report(claim *corev1.PersistentVolumeClaim, err error) {
	c.deps.Metrics.ProvisionFailed(provision.ClassName(claim), provision.SourceKind(claim))
	c.deps.Events.Warning(claim, names.ReasonProvisioningFailed, err.Error())
}

// announce tells once, on the claim, what goes on.
func (c *Controller) announce(claim *corev1.PersistentVolumeClaim, message string) {
	if c.attempts.announce(claim.UID) {
		c.deps.Events.Normal(claim, names.ReasonProvisioning, message)
	}
}
