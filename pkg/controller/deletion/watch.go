package deletion

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// Watch has the queue told of all that changes, beginning with what there is now.
func (c *Controller) Watch(informers *kube.Informers, queue *controller.Controller[string]) error {
	classChanged := func(class *storagev1.StorageClass) { queue.Wake(controller.ClassChanged(class.Name)) }
	return errors.Join(
		informers.Handle(informers.Classes, "classes of volumes", kube.OnChange(
			func(_, class *storagev1.StorageClass) { classChanged(class) }, classChanged)),
		informers.Handle(informers.Volumes, "volumes to delete", kube.OnChange(func(_, volume *corev1.PersistentVolume) {
			if c.Wants(volume) {
				queue.Add(volume.Name)
			}
		}, func(volume *corev1.PersistentVolume) {
			c.VolumeGone(volume.UID)
		})),
		informers.HandleDetached("attachments of volumes to delete", func(volume string) {
			queue.Wake(controller.Detached(volume))
		}),
	)
}
