package expand

import (
	"fmt"
	"math"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

func newPlan(in Input, s state, next goal) (*Plan, error) {
	required, err := inBytes(next.size)
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

// inBytes returns a size rounded up to whole bytes.
func inBytes(size resource.Quantity) (int64, error) {
	// Value wraps around: it would ask for a small volume instead of a huge one.
	if size.CmpInt64(math.MaxInt64) > 0 {
		return 0, fmt.Errorf("the claim's spec.resources.requests.storage, or its status.allocatedResources.storage, is %.100s: CSI has sizes of up to %d bytes", size.String(), int64(math.MaxInt64))
	}
	return size.Value(), nil
}

func volumeCapability(in Input) (*csipb.VolumeCapability, error) {
	mode, err := accessMode(in)
	if err != nil {
		return nil, err
	}
	capability := &csipb.VolumeCapability{AccessMode: &csipb.VolumeCapability_AccessMode{Mode: mode}}
	if mode := in.Volume.Spec.VolumeMode; mode != nil && *mode == corev1.PersistentVolumeBlock {
		capability.AccessType = &csipb.VolumeCapability_Block{Block: &csipb.VolumeCapability_BlockVolume{}}
		return capability, nil
	}
	capability.AccessType = &csipb.VolumeCapability_Mount{Mount: &csipb.VolumeCapability_MountVolume{
		FsType:     source(in.Volume).FSType,
		MountFlags: in.Volume.Spec.MountOptions,
	}}
	return capability, nil
}

// accessMode returns the one mode that stands for all of the volume's. What
// ReadWriteOnce and ReadWriteOncePod become depends on the driver's
// SINGLE_NODE_MULTI_WRITER capability (KEP-2485).
func accessMode(in Input) (csipb.VolumeCapability_AccessMode_Mode, error) {
	has := map[corev1.PersistentVolumeAccessMode]bool{}
	for _, mode := range in.Volume.Spec.AccessModes {
		has[mode] = true
	}
	multiWriter := in.Capabilities.SingleNodeMultiWriter
	switch {
	case has[corev1.ReadWriteOncePod] && len(has) > 1:
		return 0, fmt.Errorf("PersistentVolume %q has ReadWriteOncePod beside other spec.accessModes, where it must be alone", in.Volume.Name)
	case has[corev1.ReadWriteOncePod] && multiWriter:
		return csipb.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER, nil
	case has[corev1.ReadWriteOncePod]:
		return csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, nil
	case has[corev1.ReadWriteMany]:
		return csipb.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER, nil
	case has[corev1.ReadOnlyMany] && has[corev1.ReadWriteOnce]:
		return 0, fmt.Errorf("PersistentVolume %q has both ReadOnlyMany and ReadWriteOnce in its spec.accessModes, for which CSI has no access mode", in.Volume.Name)
	case has[corev1.ReadOnlyMany]:
		return csipb.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY, nil
	case has[corev1.ReadWriteOnce] && multiWriter:
		return csipb.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER, nil
	case has[corev1.ReadWriteOnce]:
		return csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, nil
	}
	return 0, fmt.Errorf("PersistentVolume %q has no known mode in its spec.accessModes", in.Volume.Name)
}
