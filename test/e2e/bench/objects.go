package bench

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/load"
)

const (
	provisionedBy   = "pv.kubernetes.io/provisioned-by"
	volumeFinalizer = "external-provisioner.volume.kubernetes.io/finalizer"
)

// newVolume returns a PersistentVolume as the sidecars make it, for a claim.
func newVolume(name string, claim types.NamespacedName, uid types.UID) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{provisionedBy: driverName},
			Finalizers:  []string{volumeFinalizer},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(load.Small)},
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			ClaimRef: &corev1.ObjectReference{
				Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name, UID: uid,
			},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			StorageClassName:              className,
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				Driver: driverName, VolumeHandle: handlePrefix + name, FSType: "ext4",
				VolumeAttributes: map[string]string{"storage.kubernetes.io/csiProvisionerIdentity": "1700000000000-1000-" + driverName},
			}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{"node"}}},
			}}}},
		},
	}
}

// newClaim returns a claim that names the driver, as a controller manager lets it.
func newClaim(name string) *corev1.PersistentVolumeClaim {
	return load.Annotated(load.NewClaim(name, className), driverName)
}

// bound returns a claim that has a volume.
func bound(claim *corev1.PersistentVolumeClaim, volume string) *corev1.PersistentVolumeClaim {
	claim.Spec.VolumeName = volume
	for _, key := range []string{"pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"} {
		metav1.SetMetaDataAnnotation(&claim.ObjectMeta, key, "yes")
	}
	return claim
}

// newNode returns a node of the size that nodes have: its own labels, and the images that
// a kubelet tells.
func newNode(name string) *corev1.Node {
	const images = 20
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		corev1.LabelHostname:           name,
		corev1.LabelArchStable:         "amd64",
		corev1.LabelOSStable:           "linux",
		corev1.LabelInstanceTypeStable: "standard-8",
		corev1.LabelTopologyRegion:     "region-1",
		corev1.LabelTopologyZone:       "region-1-a",
	}}}
	for n := range images {
		node.Status.Images = append(node.Status.Images, corev1.ContainerImage{
			Names:     []string{fmt.Sprintf("images.example/team/application-%d@sha256:%064d", n, n), fmt.Sprintf("images.example/team/application-%d:v1", n)},
			SizeBytes: 100 << 20,
		})
	}
	return node
}

// newCSINode returns the registration of the driver on a node.
func newCSINode(name string) *storagev1.CSINode {
	return &storagev1.CSINode{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
			{Name: driverName, NodeID: name, TopologyKeys: []string{corev1.LabelHostname}},
		}},
	}
}
