package modify

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// Watch has the queue told of all that changes, beginning with what there is now.
func (c *Controller) Watch(informers *kube.Informers, queue *controller.Controller[Key]) error {
	classChanged := func(class *storagev1.VolumeAttributesClass) {
		queue.Wake(controller.AttributesClassChanged(class.Name))
	}
	return errors.Join(
		informers.Handle(informers.AttributesClasses, "VolumeAttributesClasses", kube.OnChange(
			func(_, class *storagev1.VolumeAttributesClass) { classChanged(class) }, classChanged)),
		informers.Handle(informers.Volumes, "volumes to modify", kube.OnChange(func(_, volume *corev1.PersistentVolume) {
			queue.Wake(controller.VolumeChanged(volume.Name))
		}, func(*corev1.PersistentVolume) {})),
		informers.Handle(informers.Claims, "claims to modify", kube.OnChange(func(old, claim *corev1.PersistentVolumeClaim) {
			c.ClaimShown(claim)
			Look(old, claim, queue)
		}, func(claim *corev1.PersistentVolumeClaim) {
			c.ClaimShown(claim)
			Gone(claim, queue)
		})),
	)
}

// Gone adds a claim that has gone: it is to wait for nothing any more, and what is known
// of it is to be forgotten.
func Gone(claim *corev1.PersistentVolumeClaim, queue *controller.Controller[Key]) {
	queue.Add(KeyOf(claim))
}

// Look adds a claim that changes from old, which is nil for one that appears, if there
// may be something to do about it.
func Look(old, claim *corev1.PersistentVolumeClaim, queue *controller.Controller[Key]) {
	if Wants(old, claim) {
		queue.Add(KeyOf(claim))
	}
}
