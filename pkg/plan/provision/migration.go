package provision

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// IsAsked tells whether a claim asks for a volume of this driver: by its name, or
// by that of the in-tree plugin whose place it has taken, if kube-controller-manager
// has noted that on the claim.
func (d Driver) IsAsked(claim *corev1.PersistentVolumeClaim) bool {
	asked := Provisioner(claim)
	return asked == d.Name ||
		d.replaces(asked) && claim.Annotations[names.MigratedTo] == d.Name
}

// Serves tells whether this driver makes the volumes of a class.
func (d Driver) Serves(class *storagev1.StorageClass) bool {
	return class.Provisioner == d.Name || d.replaces(class.Provisioner)
}

// replaces tells whether the driver has taken the place of a plugin.
func (d Driver) replaces(plugin string) bool { return plugin != "" && plugin == d.InTreePlugin }

// Migrated tells whether the volume is made for a class of an in-tree plugin. Its
// PersistentVolume is planned, and recorded, as one of the driver's, and stored as
// one of the plugin, which its annotation names.
func (p *Plan) Migrated() bool {
	return p.Volume.Annotations[names.ProvisionedBy] != p.Volume.Spec.CSI.Driver
}
