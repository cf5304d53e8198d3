package modify

import (
	"maps"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// Plan is one attempt to modify a volume.
type Plan struct {
	// Target is the class that the volume is to get.
	Target string
	// Begins tells that the driver was asked for another class before, or for
	// none, so that the beginning is worth an event.
	Begins bool
	// Request is complete but for its secrets.
	Request *csipb.ControllerModifyVolumeRequest
	// Secret is that of ControllerModifyVolume; nil for none.
	Secret *secrets.Ref
}

func newPlan(in Input, target string) *Plan {
	return &Plan{
		Target: target,
		Begins: !attempted(in.Claim, target),
		Request: &csipb.ControllerModifyVolumeRequest{
			VolumeId:          in.Volume.Spec.CSI.VolumeHandle,
			MutableParameters: parameters(in),
		},
		Secret: secret(in.Volume),
	}
}

// parameters returns the class's parameters as the driver gets them.
func parameters(in Input) map[string]string {
	if !in.Options.ExtraModifyMetadata {
		return in.Class.Parameters
	}
	added := map[string]string{}
	maps.Copy(added, in.Class.Parameters)
	added[names.MetadataClaimName] = in.Claim.Name
	added[names.MetadataClaimNamespace] = in.Claim.Namespace
	added[names.MetadataVolumeName] = in.Volume.Name
	return added
}

// secret finds the Secret of ControllerModifyVolume: that which the volume's
// annotations name, and for a volume without both of them, that of
// ControllerExpandVolume.
func secret(volume *corev1.PersistentVolume) *secrets.Ref {
	name, namespace := volume.Annotations[names.ModifySecretName], volume.Annotations[names.ModifySecretNamespace]
	if name != "" && namespace != "" {
		return &secrets.Ref{Namespace: namespace, Name: name}
	}
	if ref := volume.Spec.CSI.ControllerExpandSecretRef; ref != nil {
		return &secrets.Ref{Namespace: ref.Namespace, Name: ref.Name}
	}
	return nil
}
