package provision

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// Watch has the queue told of all that changes, beginning with what there is now. Places
// is the index of the cluster's topology that the controller reads.
func (c *Controller) Watch(informers *kube.Informers, places *topology.Index, queue *controller.Controller[Key]) error {
	driver := c.config.Driver
	return errors.Join(
		// First, so that no claim is decided on before the places are known.
		informers.FeedTopology(places, driver.Name, func(node string, what topology.Change) {
			topologyChanged(queue, node, what)
		}),
		informers.Handle(informers.Classes, "classes of claims", kube.OnChange(func(old, class *storagev1.StorageClass) {
			if ClassDiffers(old, class) {
				queue.Wake(controller.ClassChanged(class.Name))
			}
		}, func(class *storagev1.StorageClass) {
			queue.Wake(controller.ClassChanged(class.Name))
		})),
		informers.Handle(informers.Volumes, "volumes of claims", kube.OnChange(func(_, volume *corev1.PersistentVolume) {
			c.Shown(volume)
		}, func(volume *corev1.PersistentVolume) {
			queue.Wake(VolumeGone(volume.Name))
		})),
		informers.Handle(informers.Claims, "claims", kube.OnChange(func(old, claim *corev1.PersistentVolumeClaim) {
			if Wants(driver, old, claim) {
				queue.Add(KeyOf(claim))
			}
		}, func(claim *corev1.PersistentVolumeClaim) {
			if driver.IsAsked(claim) {
				queue.Add(KeyOf(claim))
			}
		})),
		watchAttributes(informers, queue),
		watchSources(informers, queue),
	)
}

func topologyChanged(queue *controller.Controller[Key], node string, what topology.Change) {
	if what.Node {
		queue.Wake(NodeChanged(node))
	}
	if what.Places {
		queue.Wake(TopologyChanged())
	}
}

// watchAttributes wakes the claims that wait for their VolumeAttributesClass.
func watchAttributes(informers *kube.Informers, queue *controller.Controller[Key]) error {
	if informers.AttributesClasses == nil {
		return nil
	}
	changed := func(class *storagev1.VolumeAttributesClass) {
		queue.Wake(controller.AttributesClassChanged(class.Name))
	}
	return informers.Handle(informers.AttributesClasses, "VolumeAttributesClasses of new volumes", kube.OnChange(
		func(old, class *storagev1.VolumeAttributesClass) {
			if AttributesDiffer(old, class) {
				changed(class)
			}
		}, changed))
}
