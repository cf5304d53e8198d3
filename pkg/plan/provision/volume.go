package provision

import (
	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	planrequest "github.com/csi-provisioner/csi-provisioner/pkg/plan/request"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// newVolume returns the PersistentVolume as far as it is known before the
// driver has answered.
func newVolume(in Input, request *csipb.CreateVolumeRequest, fsType string, refs secrets.Refs) *corev1.PersistentVolume {
	source := &corev1.CSIPersistentVolumeSource{
		Driver:                     in.Driver.Name,
		ReadOnly:                   readOnly(in.Options, request),
		VolumeAttributes:           map[string]string{names.ProvisionerIdentity: in.Driver.Identity},
		ControllerPublishSecretRef: refs[secrets.ControllerPublish].CoreV1(),
		NodeStageSecretRef:         refs[secrets.NodeStage].CoreV1(),
		NodePublishSecretRef:       refs[secrets.NodePublish].CoreV1(),
		ControllerExpandSecretRef:  refs[secrets.ControllerExpand].CoreV1(),
		NodeExpandSecretRef:        refs[secrets.NodeExpand].CoreV1(),
	}
	if !planrequest.IsBlock(in.Claim.Spec.VolumeMode) {
		source.FSType = fsType
	}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        request.GetName(),
			Annotations: annotations(in, refs),
		},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:            in.Claim.Spec.AccessModes,
			ClaimRef:               claimRef(in.Claim),
			MountOptions:           in.Class.MountOptions,
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: source},
			StorageClassName:       ClassName(in.Claim),
			VolumeMode:             in.Claim.Spec.VolumeMode,

			VolumeAttributesClassName: attributesClassOf(in),
		},
	}
	if policy := in.Class.ReclaimPolicy; policy != nil {
		volume.Spec.PersistentVolumeReclaimPolicy = *policy
	}
	// A volume that is retained has nothing to wait for when it is deleted. The
	// API server takes a missing policy for Retain.
	if volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
		volume.Finalizers = []string{names.VolumeFinalizer}
	}
	return volume
}

func claimRef(claim *corev1.PersistentVolumeClaim) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		Kind:            "PersistentVolumeClaim",
		APIVersion:      "v1",
		Namespace:       claim.Namespace,
		Name:            claim.Name,
		UID:             claim.UID,
		ResourceVersion: claim.ResourceVersion,
	}
}

func annotations(in Input, refs secrets.Refs) map[string]string {
	annotations := map[string]string{
		names.ProvisionedBy:           in.Class.Provisioner,
		names.DeletionSecretName:      "",
		names.DeletionSecretNamespace: "",
	}
	if ref := refs[secrets.Provisioner]; ref != nil {
		annotations[names.DeletionSecretName] = ref.Name
		annotations[names.DeletionSecretNamespace] = ref.Namespace
	}
	if ref := refs[secrets.ControllerModify]; ref != nil {
		annotations[names.ModifySecretName] = ref.Name
		annotations[names.ModifySecretNamespace] = ref.Namespace
	}
	return annotations
}

func readOnly(o Options, request *csipb.CreateVolumeRequest) bool {
	capabilities := request.GetVolumeCapabilities()
	return o.ControllerPublishReadonly && len(capabilities) == 1 &&
		capabilities[0].GetAccessMode().GetMode() == csipb.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY
}
