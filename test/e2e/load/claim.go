package load

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The sizes that claims ask for, at first and when they are expanded.
const (
	Small = "1Gi"
	Large = "2Gi"
)

// ProvisionerAnnotation on a claim names the driver that is to make its volume.
const ProvisionerAnnotation = "volume.kubernetes.io/storage-provisioner"

// NewClaim returns a claim of a class.
func NewClaim(name, class string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       ClaimSpec(class),
	}
}

// ClaimSpec returns that of a claim of a class.
func ClaimSpec(class string) corev1.PersistentVolumeClaimSpec {
	return corev1.PersistentVolumeClaimSpec{
		StorageClassName: &class,
		AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(Small)}},
	}
}

// Annotated returns a claim that names its driver. Without a controller manager nobody
// else names it, and with one it does so for one claim after the other.
func Annotated(claim *corev1.PersistentVolumeClaim, driver string) *corev1.PersistentVolumeClaim {
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, ProvisionerAnnotation, driver)
	return claim
}
