package expand

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// unannotated returns the volume without the annotation of an expansion whose
// node has finished; false when it carries none.
func unannotated(in Input, s state) (*corev1.PersistentVolume, bool) {
	_, annotated := in.Volume.Annotations[names.PreResizeCapacity]
	if !in.Options.AnnotateFsResize || !annotated || s.capacity.Cmp(s.provisioned) < 0 {
		return nil, false
	}
	volume := in.Volume.DeepCopy()
	delete(volume.Annotations, names.PreResizeCapacity)
	return volume, true
}

// resized returns the volume with its new size.
func resized(in Input, size resource.Quantity, onNode bool) *corev1.PersistentVolume {
	volume := in.Volume.DeepCopy()
	setSize(&volume.Spec.Capacity, size)
	if in.Options.AnnotateFsResize {
		annotate(volume, in.Claim.Status.Capacity, onNode)
	}
	return volume
}

// annotate records the size that the volume's file system has, for a claim that
// is bound to the volume before its node has finished: the oldest of several. A
// volume that goes with its claim is bound to no other, so that it needs none.
func annotate(volume *corev1.PersistentVolume, capacity corev1.ResourceList, onNode bool) {
	if !onNode {
		delete(volume.Annotations, names.PreResizeCapacity)
		return
	}
	old, known := capacity[corev1.ResourceStorage]
	_, annotated := volume.Annotations[names.PreResizeCapacity]
	if annotated || !known || volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
		return
	}
	metav1.SetMetaDataAnnotation(&volume.ObjectMeta, names.PreResizeCapacity, old.String())
}
