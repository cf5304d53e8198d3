package kube

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// In node deployment each node watches the claims and volumes of all nodes, as
// nothing by which they could be selected tells whose they are. The transforms of
// this file come after those for all, and keep of other nodes' what identifies them,
// whose they are, and what cloning and protecting them goes by.

// trimClaimsOf does so with claims; home is not nil.
func trimClaimsOf(home *topology.Home) cache.TransformFunc {
	return func(object any) (any, error) {
		claim, ok := object.(*corev1.PersistentVolumeClaim)
		if !ok {
			return object, nil
		}
		selected := claim.Annotations[names.SelectedNode]
		if selected == "" || selected == home.Node {
			return object, nil
		}
		kept := identity(claim.ObjectMeta)
		kept.DeletionTimestamp, kept.Finalizers = claim.DeletionTimestamp, claim.Finalizers
		kept.Annotations = only(claim.Annotations, names.SelectedNode,
			names.StorageProvisioner, names.StorageProvisionerBeta, names.MigratedTo, names.StorageClassBeta)
		claim.ObjectMeta = kept
		claim.Status = corev1.PersistentVolumeClaimStatus{Phase: claim.Status.Phase}
		return claim, nil
	}
}

// trimVolumesOf does so with volumes; home is not nil.
func trimVolumesOf(home *topology.Home) cache.TransformFunc {
	return func(object any) (any, error) {
		volume, ok := object.(*corev1.PersistentVolume)
		if !ok || home.Reaches(volume.Spec.NodeAffinity) {
			return object, nil
		}
		spec := corev1.PersistentVolumeSpec{
			NodeAffinity: volume.Spec.NodeAffinity,
			ClaimRef:     volume.Spec.ClaimRef,
			VolumeMode:   volume.Spec.VolumeMode,
		}
		if source := volume.Spec.CSI; source != nil {
			spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: source.Driver, VolumeHandle: source.VolumeHandle}
		}
		kept := identity(volume.ObjectMeta)
		kept.DeletionTimestamp = volume.DeletionTimestamp
		kept.Annotations = only(volume.Annotations, names.ProvisionedBy, names.MigratedTo)
		volume.ObjectMeta, volume.Spec = kept, spec
		volume.Status = corev1.PersistentVolumeStatus{Phase: volume.Status.Phase}
		return volume, nil
	}
}

// only returns those of the keys that the annotations have; nil for none.
func only(annotations map[string]string, keys ...string) map[string]string {
	var kept metav1.ObjectMeta
	for _, key := range keys {
		if value, ok := annotations[key]; ok {
			metav1.SetMetaDataAnnotation(&kept, key, value)
		}
	}
	return kept.Annotations
}

// both returns a transform that does one, and then the other.
func both(first, second cache.TransformFunc) cache.TransformFunc {
	return func(object any) (any, error) {
		object, err := first(object)
		if err != nil {
			return nil, err
		}
		return second(object)
	}
}
