// Package request holds what requests to the driver are made of: sizes, access modes and
// volume capabilities of Kubernetes as CSI has them.
package request

import (
	"fmt"
	"math"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Bytes returns a size rounded up to whole bytes. The error names the field that it
// stands in.
func Bytes(field string, size resource.Quantity) (int64, error) {
	// Value wraps around: it would ask for a small volume instead of a huge one.
	if size.CmpInt64(math.MaxInt64) > 0 {
		return 0, fmt.Errorf("%s is %.100s: CSI has sizes of up to %d bytes", field, size.String(), int64(math.MaxInt64))
	}
	return size.Value(), nil
}

// AccessMode translates an access mode; false for one that is not known. What
// ReadWriteOnce and ReadWriteOncePod become depends on the driver's
// SINGLE_NODE_MULTI_WRITER capability (KEP-2485).
func AccessMode(mode corev1.PersistentVolumeAccessMode, singleNodeMultiWriter bool) (csipb.VolumeCapability_AccessMode_Mode, bool) {
	switch mode {
	case corev1.ReadWriteOnce:
		if singleNodeMultiWriter {
			return csipb.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER, true
		}
		return csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, true
	case corev1.ReadWriteOncePod:
		if singleNodeMultiWriter {
			return csipb.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER, true
		}
		return csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, true
	case corev1.ReadOnlyMany:
		return csipb.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY, true
	case corev1.ReadWriteMany:
		return csipb.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER, true
	}
	return csipb.VolumeCapability_AccessMode_UNKNOWN, false
}

// Mount is how a volume with a file system is mounted.
type Mount struct {
	FSType  string
	Options []string
}

// Capability returns the capability of a volume with one access mode. Mount matters to
// volumes with a file system, of which a nil mode is one.
func Capability(access csipb.VolumeCapability_AccessMode_Mode, mode *corev1.PersistentVolumeMode, mount Mount) *csipb.VolumeCapability {
	capability := &csipb.VolumeCapability{AccessMode: &csipb.VolumeCapability_AccessMode{Mode: access}}
	if IsBlock(mode) {
		capability.AccessType = &csipb.VolumeCapability_Block{Block: &csipb.VolumeCapability_BlockVolume{}}
		return capability
	}
	capability.AccessType = &csipb.VolumeCapability_Mount{Mount: &csipb.VolumeCapability_MountVolume{
		FsType: mount.FSType, MountFlags: mount.Options,
	}}
	return capability
}

// IsBlock tells whether a volume has no file system.
func IsBlock(mode *corev1.PersistentVolumeMode) bool {
	return mode != nil && *mode == corev1.PersistentVolumeBlock
}
