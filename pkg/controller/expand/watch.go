package expand

import (
	"errors"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// Watch has the queue told of all that changes, beginning with what there is now.
func (c *Controller) Watch(informers *kube.Informers, queue *controller.Controller[Key]) error {
	return errors.Join(
		informers.Handle(informers.Volumes, "volumes to expand", kube.OnChange(func(_, volume *corev1.PersistentVolume) {
			c.volumeChanged(volume, queue)
		}, c.VolumeShown)),
		informers.Handle(informers.Claims, "claims to expand", kube.OnChange(func(old, claim *corev1.PersistentVolumeClaim) {
			c.ClaimShown(claim)
			Look(old, claim, queue)
		}, func(claim *corev1.PersistentVolumeClaim) {
			c.ClaimShown(claim)
			Gone(claim, queue)
		})),
		informers.HandleDetached("attachments of volumes to expand", func(volume string) {
			queue.Wake(controller.Detached(volume))
		}),
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

// volumeChanged wakes the claim that waits for its volume, and adds that of a volume that
// may carry an annotation that is to go.
func (c *Controller) volumeChanged(volume *corev1.PersistentVolume, queue *controller.Controller[Key]) {
	c.VolumeShown(volume)
	queue.Wake(controller.VolumeChanged(volume.Name))
	if claim := volume.Spec.ClaimRef; claim != nil && Annotated(volume) {
		queue.Add(Key{Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID})
	}
}
