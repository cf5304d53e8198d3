package capacity

import (
	"errors"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// Watch has the controller told of all that changes, beginning with what there is now.
func (c *Controller) Watch(informers *kube.Informers) error {
	return errors.Join(
		informers.FeedNodes(c, c.config.Settings.Driver),
		informers.Handle(informers.Classes, "classes with capacity", kube.OnChange(c.ClassChanged, c.ClassGone)),
		informers.Handle(informers.Capacities, "capacities", kube.OnChange(c.ObjectChanged, c.ObjectGone)),
		informers.Handle(informers.Volumes, "volumes that take capacity", kube.OnChange(c.VolumeChanged, c.VolumeGone)),
	)
}
