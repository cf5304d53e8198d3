package kube

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// The functions of this file are informer transforms: what they drop is never
// stored. They are called once with each object, before anybody else sees it,
// and so may change it.

// identity returns the metadata by which an object is recognised.
func identity(meta metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace:       meta.Namespace,
		Name:            meta.Name,
		UID:             meta.UID,
		ResourceVersion: meta.ResourceVersion,
	}
}

// trimClaim keeps of claims that name another driver what identifies them, and how
// big and modified their volume is and shall be: only the volume says whose it is,
// and it may have been given to this driver by hand.
func trimClaim(driver string) func(any) (any, error) {
	return func(object any) (any, error) {
		claim, ok := object.(*corev1.PersistentVolumeClaim)
		if !ok {
			return object, nil
		}
		claim.ManagedFields = nil
		if !claimConcerns(claim, driver) {
			claim.ObjectMeta = expandIdentity(claim.ObjectMeta)
			claim.Spec = corev1.PersistentVolumeClaimSpec{
				VolumeName:                claim.Spec.VolumeName,
				Resources:                 claim.Spec.Resources,
				VolumeAttributesClassName: claim.Spec.VolumeAttributesClassName,
			}
		}
		return claim, nil
	}
}

// expandIdentity returns the metadata that expanding a volume, and protecting one
// that is cloned, goes by.
func expandIdentity(meta metav1.ObjectMeta) metav1.ObjectMeta {
	kept := identity(meta)
	kept.DeletionTimestamp = meta.DeletionTimestamp
	if slices.Contains(meta.Finalizers, names.CloneFinalizer) {
		kept.Finalizers = []string{names.CloneFinalizer}
	}
	if value, ok := meta.Annotations[names.NodeExpansionNotRequired]; ok {
		kept.Annotations = map[string]string{names.NodeExpansionNotRequired: value}
	}
	return kept
}

// claimConcerns tells whether the claim is, or may be, the driver's: one that
// names no driver may be bound to a volume that was made by hand.
func claimConcerns(claim *corev1.PersistentVolumeClaim, driver string) bool {
	named := false
	for _, key := range []string{names.StorageProvisioner, names.StorageProvisionerBeta, names.MigratedTo} {
		of, ok := claim.Annotations[key]
		if of == driver {
			return true
		}
		named = named || ok
	}
	return !named
}

// trimVolume keeps of other drivers' volumes what identifies them.
func trimVolume(driver string, inTree *InTree) func(any) (any, error) {
	return func(object any) (any, error) {
		volume, ok := object.(*corev1.PersistentVolume)
		if !ok {
			return object, nil
		}
		volume.ManagedFields = nil
		if !volumeConcerns(volume, driver) && inTree.PluginOf(volume) == "" {
			volume.ObjectMeta = identity(volume.ObjectMeta)
			volume.Spec = corev1.PersistentVolumeSpec{}
			volume.Status = corev1.PersistentVolumeStatus{}
		}
		return volume, nil
	}
}

func volumeConcerns(volume *corev1.PersistentVolume, driver string) bool {
	return volume.Annotations[names.ProvisionedBy] == driver ||
		volume.Annotations[names.MigratedTo] == driver ||
		volume.Spec.CSI != nil && volume.Spec.CSI.Driver == driver
}

// trimClass drops what nobody reads.
func trimClass(object any) (any, error) {
	if class, ok := object.(*storagev1.StorageClass); ok {
		class.ManagedFields = nil
	}
	return object, nil
}

// trimModification drops what nobody reads.
func trimModification(object any) (any, error) {
	if class, ok := object.(*storagev1.VolumeAttributesClass); ok {
		class.ManagedFields = nil
	}
	return object, nil
}

// trimAttachment keeps which volume is attached to which node.
func trimAttachment(object any) (any, error) {
	attachment, ok := object.(*storagev1.VolumeAttachment)
	if !ok {
		return object, nil
	}
	return &storagev1.VolumeAttachment{
		ObjectMeta: identity(attachment.ObjectMeta),
		Spec: storagev1.VolumeAttachmentSpec{
			NodeName: attachment.Spec.NodeName,
			Source:   storagev1.VolumeAttachmentSource{PersistentVolumeName: attachment.Spec.Source.PersistentVolumeName},
		},
	}, nil
}

// trimRegistration keeps of a CSINode the driver's topology keys.
func trimRegistration(driver string) func(any) (any, error) {
	return func(object any) (any, error) {
		node, ok := object.(*storagev1.CSINode)
		if !ok {
			return object, nil
		}
		kept := &storagev1.CSINode{ObjectMeta: identity(node.ObjectMeta)}
		for _, entry := range node.Spec.Drivers {
			if entry.Name == driver {
				kept.Spec.Drivers = []storagev1.CSINodeDriver{{Name: driver, TopologyKeys: entry.TopologyKeys}}
			}
		}
		return kept, nil
	}
}

// trimNode keeps a node's labels.
func trimNode(object any) (any, error) {
	node, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	labels := node.Labels
	node.ObjectMeta = identity(node.ObjectMeta)
	node.Labels = labels
	return node, nil
}
