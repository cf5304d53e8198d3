package suite

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/backend"
)

// realVolumes is a scene whose volumes are loop devices.
func realVolumes(t *testing.T, driverFlags ...string) *scene {
	t.Helper()
	if !shared.Kubelet {
		t.Skip("there is no kubelet, which needs root")
	}
	if err := backend.CanLoop(); err != nil {
		t.Skipf("volumes can't be loop devices here: %v", err)
	}
	return newScene(t, append([]string{"--backend=loop"}, driverFlags...)...)
}

// TestFilesystemVolume: a pod gets the file system that the class asks for, with
// the class's mount options, and what the claim asks for.
func TestFilesystemVolume(t *testing.T) {
	t.Parallel()
	s := realVolumes(t)
	s.sidecar(soon)
	for _, c := range []struct{ fsType, key, option string }{
		{"xfs", reservedPrefix + "fstype", "noatime"},
		{"ext4", "FSType", "nodiratime"},
	} {
		t.Run(c.fsType, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			class := s.class(c.fsType, map[string]string{c.key: c.fsType}, "mountOptions: ["+c.option+"]")
			claim := s.claim(c.fsType, class)
			volume := s.boundToOne(claim)
			if volume.Spec.CSI.FSType != c.fsType || cmp.Diff([]string{c.option}, volume.Spec.MountOptions) != "" {
				t.Errorf("the volume has the file system %q and the mount options %q", volume.Spec.CSI.FSType, volume.Spec.MountOptions)
			}
			s.pod(c.fsType, claim)
			pod := s.running(c.fsType)

			path := filepath.Join(shared.Cluster.KubeletDir(), "pods", string(pod.UID), "volumes", "kubernetes.io~csi", volume.Name, "mount")
			fsType, options := s.mounted(path)
			if fsType != c.fsType || !strings.Contains(options, c.option) {
				t.Errorf("at the pod's path is %q with the options %q", fsType, options)
			}
			s.must(os.WriteFile(filepath.Join(path, "greeting"), []byte("hello"), 0o600))
			mount := s.staged(volume).GetMount()
			if mount.GetFsType() != c.fsType || cmp.Diff([]string{c.option}, mount.GetMountFlags()) != "" {
				t.Errorf("NodeStageVolume was asked for %v", mount)
			}
			s.endOfVolume(claim, volume)
			if fsType, _ := s.mounted(path); fsType != "" {
				t.Errorf("%s is still mounted at the pod's path", fsType)
			}
		})
	}
}

// TestBlockVolume: a pod gets a device of the size that the claim asks for.
func TestBlockVolume(t *testing.T) {
	t.Parallel()
	s := realVolumes(t)
	s.sidecar(soon, "--default-fstype=ext4")
	claim := s.claim("claim", s.class("class", map[string]string{reservedPrefix + "fstype": "xfs"}, "mountOptions: [noatime]"), block)
	volume := s.boundToOne(claim)
	if mode := volume.Spec.VolumeMode; mode == nil || *mode != corev1.PersistentVolumeBlock || volume.Spec.CSI.FSType != "" {
		t.Errorf("the volume has the mode %v and the file system %q", mode, volume.Spec.CSI.FSType)
	}
	request, _ := s.requestFor(claim)
	if request.GetVolumeCapabilities()[0].GetBlock() == nil {
		t.Errorf("CreateVolume was asked for %v", request.GetVolumeCapabilities())
	}
	s.pod("pod", claim)
	pod := s.running("pod")
	if s.staged(volume).GetBlock() == nil {
		t.Error("NodeStageVolume was not asked for a device")
	}
	published := s.volumesOf(claim)[0].PublishedAt
	if len(published) != 1 {
		t.Fatalf("the volume is published at %q", published)
	}
	podPath := filepath.Join(shared.Cluster.KubeletDir(), "pods", string(pod.UID), "volumeDevices", "kubernetes.io~csi", volume.Name)
	for _, path := range []string{published[0], podPath} {
		s.isDevice(path, 1<<30)
	}
	s.endOfVolume(claim, volume)
}

// staged returns what NodeStageVolume was asked for.
func (s *scene) staged(volume *corev1.PersistentVolume) *csipb.VolumeCapability {
	s.Helper()
	for _, call := range s.calls("NodeStageVolume", 1) {
		if call.VolumeID == volume.Spec.CSI.VolumeHandle {
			var request csipb.NodeStageVolumeRequest
			s.must(call.DecodeRequest(&request))
			return request.GetVolumeCapability()
		}
	}
	s.Fatalf("NodeStageVolume was not called for %s", volume.Spec.CSI.VolumeHandle)
	return nil
}

// isDevice fails the test unless there is a block device of that size, in bytes.
func (s *scene) isDevice(path string, size int64) {
	s.Helper()
	device, err := os.Open(path)
	s.must(err)
	defer device.Close()
	info, err := device.Stat()
	s.must(err)
	end, err := device.Seek(0, io.SeekEnd)
	s.must(err)
	if info.Mode().Type() != os.ModeDevice || end != size {
		s.Errorf("%s is %v of %d bytes", path, info.Mode().Type(), end)
	}
}

// endOfVolume deletes the pod, which has the name of the claim or "pod", then
// the claim, and waits until nothing is left of the volume.
func (s *scene) endOfVolume(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) {
	s.Helper()
	s.deletePod(claim.Name)
	s.deletePod("pod")
	s.until("the volume is staged nowhere", func() (bool, error) {
		have := s.volumesOf(claim)
		return len(have) == 1 && len(have[0].StagedAt)+len(have[0].PublishedAt) == 0, nil
	})
	s.deleteClaim(claim.Name)
	s.volumeGone(volume.Name)
	s.nothingLeft(claim)
}

// TestAccessModes: what a claim's access modes are for CSI depends on whether the
// driver tells one writer on a node from many.
func TestAccessModes(t *testing.T) {
	t.Parallel()
	const (
		many     = csipb.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER
		readers  = csipb.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY
		one      = csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER
		oneNode  = csipb.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER
		onePlace = csipb.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER
	)
	type accessModes []csipb.VolumeCapability_AccessMode_Mode
	for _, c := range []struct {
		name                    string
		flags                   []string
		once, oncePod, modeList accessModes
	}{
		{"coarse", nil, accessModes{one}, accessModes{one}, accessModes{many, one, readers}},
		{"fine", []string{"--controller-capabilities=*,SINGLE_NODE_MULTI_WRITER", "--node-capabilities=*,SINGLE_NODE_MULTI_WRITER"},
			accessModes{oneNode}, accessModes{onePlace}, accessModes{many, oneNode, readers}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, c.flags...)
			s.sidecar(soon)
			class := s.class("class", nil)
			for name, want := range map[string]struct {
				asked []corev1.PersistentVolumeAccessMode
				csi   accessModes
			}{
				"once":     {[]corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, c.once},
				"once-pod": {[]corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}, c.oncePod},
				"many":     {[]corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, accessModes{many}},
				"readers":  {[]corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany}, accessModes{readers}},
				"all":      {[]corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany, corev1.ReadWriteOnce, corev1.ReadOnlyMany}, c.modeList},
			} {
				claim := s.claim(name, class, modes(want.asked...))
				volume := s.boundToOne(claim)
				if diff := cmp.Diff(want.asked, volume.Spec.AccessModes); diff != "" {
					t.Errorf("%s: the volume's modes (-want +got):\n%s", name, diff)
				}
				request, _ := s.requestFor(claim)
				var got accessModes
				for _, capability := range request.GetVolumeCapabilities() {
					got = append(got, capability.GetAccessMode().GetMode())
				}
				if diff := cmp.Diff(want.csi, got); diff != "" {
					t.Errorf("%s: the request's modes (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// TestSizes: what is requested is rounded up to whole bytes, what the driver
// makes of it is what the volume has.
func TestSizes(t *testing.T) {
	t.Parallel()
	s, _ := faultyDriver(t)
	s.rule(ruleLarger("larger", 5))
	class := s.class("class", nil)
	for name, c := range map[string]struct {
		request      string
		asked, given int64
	}{
		"whole":  {"6Gi", 6 << 30, 6 << 30},
		"parts":  {"1000000000100m", 1000000001, 1000000001},
		"larger": {"1Gi", 1 << 30, 1<<30 + 5},
	} {
		claim := s.claim(name, class, func(claim *corev1.PersistentVolumeClaim) {
			claim.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse(c.request)
		})
		volume := s.boundToOne(claim)
		request, _ := s.requestFor(claim)
		got := volume.Spec.Capacity[corev1.ResourceStorage]
		if asked := request.GetCapacityRange().GetRequiredBytes(); asked != c.asked || got.Value() != c.given {
			t.Errorf("%s: %d bytes were asked for and %d given, want %d and %d", name, asked, got.Value(), c.asked, c.given)
		}
	}
}
