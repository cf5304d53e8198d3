package provision

import (
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

// VolumeGone is woken when the PersistentVolume of that name goes.
func VolumeGone(name string) controller.Dependency {
	return controller.Dependency{Kind: "PersistentVolume", Name: name}
}

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

func (c *Controller) dependencies(claim *corev1.PersistentVolumeClaim) []controller.Dependency {
	return slices.Concat(sourceDependencies(claim), []controller.Dependency{
		controller.ClassChanged(provision.ClassName(claim)), TopologyChanged(), controller.DriverReconnected(), VolumeGone(provision.VolumeName(c.config.Options, claim)),
	}, nodeDependencies(claim), attributesDependencies(claim))
}
