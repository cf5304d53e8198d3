package expand

import (
	"fmt"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/request"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

func newPlan(in Input, s state, next goal) (*Plan, error) {
	required, err := request.Bytes(sizeFields, next.size)
	if err != nil {
		return nil, err
	}
	plan := &Plan{
		Claim:    begun(in, next.size),
		Begins:   s.begins(next.size),
		Target:   next.size,
		required: required,
		lowers:   next.lowers,
	}
	if s.nodeOnly {
		return plan, nil
	}
	plan.Request, err = newRequest(in, required)
	if err != nil {
		return nil, err
	}
	if ref := source(in.Volume).ControllerExpandSecretRef; ref != nil {
		plan.Secret = &secrets.Ref{Namespace: ref.Namespace, Name: ref.Name}
	}
	return plan, nil
}

func newRequest(in Input, required int64) (*csipb.ControllerExpandVolumeRequest, error) {
	handle := source(in.Volume).VolumeHandle
	if handle == "" {
		return nil, fmt.Errorf("PersistentVolume %q has an empty spec.csi.volumeHandle, so that the CSI driver can't be told which volume to expand", in.Volume.Name)
	}
	capability, err := volumeCapability(in)
	if err != nil {
		return nil, err
	}
	return &csipb.ControllerExpandVolumeRequest{
		VolumeId:         handle,
		CapacityRange:    &csipb.CapacityRange{RequiredBytes: required},
		VolumeCapability: capability,
	}, nil
}

// sizeFields is where the size of an expansion comes from.
const sizeFields = "the claim's spec.resources.requests.storage, or its status.allocatedResources.storage,"

func volumeCapability(in Input) (*csipb.VolumeCapability, error) {
	mode, err := accessMode(in.Volume)
	if err != nil {
		return nil, err
	}
	access, ok := request.AccessMode(mode, in.Capabilities.SingleNodeMultiWriter)
	if !ok {
		return nil, fmt.Errorf("PersistentVolume %q has no known mode in its spec.accessModes", in.Volume.Name)
	}
	mount := request.Mount{FSType: source(in.Volume).FSType, Options: in.Volume.Spec.MountOptions}
	return request.Capability(access, in.Volume.Spec.VolumeMode, mount), nil
}

// accessMode returns the one mode that stands for all of the volume's.
func accessMode(volume *corev1.PersistentVolume) (corev1.PersistentVolumeAccessMode, error) {
	has := map[corev1.PersistentVolumeAccessMode]bool{}
	for _, mode := range volume.Spec.AccessModes {
		has[mode] = true
	}
	switch {
	case has[corev1.ReadWriteOncePod] && len(has) > 1:
		return "", fmt.Errorf("PersistentVolume %q has ReadWriteOncePod beside other spec.accessModes, where it must be alone", volume.Name)
	case has[corev1.ReadWriteOncePod]:
		return corev1.ReadWriteOncePod, nil
	case has[corev1.ReadWriteMany]:
		return corev1.ReadWriteMany, nil
	case has[corev1.ReadOnlyMany] && has[corev1.ReadWriteOnce]:
		return "", fmt.Errorf("PersistentVolume %q has both ReadOnlyMany and ReadWriteOnce in its spec.accessModes, for which CSI has no access mode", volume.Name)
	case has[corev1.ReadOnlyMany]:
		return corev1.ReadOnlyMany, nil
	case has[corev1.ReadWriteOnce]:
		return corev1.ReadWriteOnce, nil
	}
	return "", nil
}
