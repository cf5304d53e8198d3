package request_test

import (
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/request"
)

func TestBytes(t *testing.T) {
	for size, want := range map[string]int64{"1Gi": 1 << 30, "0": 0, "1500m": 2, "9223372036854775807": 1<<63 - 1} {
		if got, err := request.Bytes("spec.size", resource.MustParse(size)); err != nil || got != want {
			t.Errorf("Bytes(%s) = %d, %v", size, got, err)
		}
	}
	if _, err := request.Bytes("spec.size", resource.MustParse("9223372036854775808")); err == nil || !strings.HasPrefix(err.Error(), "spec.size is ") {
		t.Errorf("a size that is too large: %v", err)
	}
}

func TestAccessModes(t *testing.T) {
	for mode, want := range map[corev1.PersistentVolumeAccessMode][2]csipb.VolumeCapability_AccessMode_Mode{
		corev1.ReadWriteOnce:    {csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, csipb.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER},
		corev1.ReadWriteOncePod: {csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, csipb.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER},
		corev1.ReadOnlyMany:     {csipb.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY, csipb.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY},
		corev1.ReadWriteMany:    {csipb.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER, csipb.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER},
	} {
		for n, multiWriter := range []bool{false, true} {
			if got, ok := request.AccessMode(mode, multiWriter); !ok || got != want[n] {
				t.Errorf("AccessMode(%s, %t) = %s, %t", mode, multiWriter, got, ok)
			}
		}
	}
	if _, ok := request.AccessMode("Sometimes", true); ok {
		t.Error("an unknown mode is known")
	}
}

func TestCapabilities(t *testing.T) {
	block, file := corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem
	mount := request.Mount{FSType: "xfs", Options: []string{"ro"}}
	if c := request.Capability(csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, &block, mount); c.GetBlock() == nil || c.GetMount() != nil {
		t.Errorf("block: %v", c)
	}
	for _, mode := range []*corev1.PersistentVolumeMode{nil, &file} {
		if c := request.Capability(csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, mode, mount); c.GetMount().GetFsType() != "xfs" || len(c.GetMount().GetMountFlags()) != 1 {
			t.Errorf("file system: %v", c)
		}
	}
}
