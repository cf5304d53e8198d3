package provision

import (
	"fmt"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
)

// volumeCapabilities returns one capability for each of the claim's access
// modes, in order.
func volumeCapabilities(in Input, fsType string) ([]*csipb.VolumeCapability, error) {
	var capabilities []*csipb.VolumeCapability
	for _, mode := range in.Claim.Spec.AccessModes {
		csiMode, err := accessMode(mode, in.Driver.Capabilities.SingleNodeMultiWriter)
		if err != nil {
			return nil, err
		}
		capability := &csipb.VolumeCapability{AccessMode: &csipb.VolumeCapability_AccessMode{Mode: csiMode}}
		if isBlock(in.Claim) {
			capability.AccessType = &csipb.VolumeCapability_Block{Block: &csipb.VolumeCapability_BlockVolume{}}
		} else {
			capability.AccessType = &csipb.VolumeCapability_Mount{Mount: &csipb.VolumeCapability_MountVolume{
				FsType:     fsType,
				MountFlags: in.Class.MountOptions,
			}}
		}
		capabilities = append(capabilities, capability)
	}
	return capabilities, nil
}

func isBlock(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == corev1.PersistentVolumeBlock
}

// accessMode translates a claim's access mode. What ReadWriteOnce and
// ReadWriteOncePod become depends on the driver's SINGLE_NODE_MULTI_WRITER
// capability (KEP-2485).
func accessMode(mode corev1.PersistentVolumeAccessMode, singleNodeMultiWriter bool) (csipb.VolumeCapability_AccessMode_Mode, error) {
	switch mode {
	case corev1.ReadWriteOnce:
		if singleNodeMultiWriter {
			return csipb.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER, nil
		}
		return csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, nil
	case corev1.ReadWriteOncePod:
		if singleNodeMultiWriter {
			return csipb.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER, nil
		}
		return csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, nil
	case corev1.ReadOnlyMany:
		return csipb.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY, nil
	case corev1.ReadWriteMany:
		return csipb.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER, nil
	}
	return csipb.VolumeCapability_AccessMode_UNKNOWN, fmt.Errorf("the claim's spec.accessModes holds the unknown mode %.253q", mode)
}
