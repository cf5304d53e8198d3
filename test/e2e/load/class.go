package load

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// secretName is the name of the Secret in each namespace, password its value, which
	// may be seen nowhere.
	secretName = "credentials"
	password   = "t0p-Secret-of-load"
)

// Reveals reports whether a text holds the value of the Secrets.
func Reveals(text string) bool { return strings.Contains(text, password) }

// ClaimNamespace is the namespace of the Secret that each claim has for itself.
const ClaimNamespace = "${pvc.namespace}"

// NewClass returns a StorageClass of a driver, whose volumes can be expanded.
func NewClass(name, driver string, policy corev1.PersistentVolumeReclaimPolicy) *storagev1.StorageClass {
	expands := true
	return &storagev1.StorageClass{
		ObjectMeta:           metav1.ObjectMeta{Name: name},
		Provisioner:          driver,
		ReclaimPolicy:        &policy,
		AllowVolumeExpansion: &expands,
	}
}

// WithSecret has a class name the Secret of a namespace for all calls that the sidecar
// makes.
func WithSecret(class *storagev1.StorageClass, namespace string) *storagev1.StorageClass {
	class.Parameters = map[string]string{}
	for _, role := range []string{"provisioner", "controller-expand"} {
		class.Parameters["csi.storage.k8s.io/"+role+"-secret-name"] = secretName
		class.Parameters["csi.storage.k8s.io/"+role+"-secret-namespace"] = namespace
	}
	return class
}
