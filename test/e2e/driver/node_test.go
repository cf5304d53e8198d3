package driver_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/backend"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

func needLoop(t *testing.T) {
	t.Helper()
	if err := backend.CanLoop(); err != nil {
		t.Skipf("needs root and loop devices: %v", err)
	}
}

// sizeOf is the size of the file system at a path.
func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		t.Fatal(err)
	}
	return int64(stat.Blocks) * stat.Bsize
}

func (r *running) expand(t *testing.T, id string, bytes int64) *csi.ControllerExpandVolumeResponse {
	t.Helper()
	response, err := r.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{
		VolumeId: id, CapacityRange: &csi.CapacityRange{RequiredBytes: bytes},
	})
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestExpandOnlineKeepsData(t *testing.T) {
	needLoop(t)
	for name, tc := range map[string]struct {
		fsType       string
		capabilities driver.Capabilities
		inController bool
	}{
		"controller and node":  {inController: true},
		"xfs by name":          {fsType: "xfs", inController: true},
		"node alone":           {capabilities: driver.Capabilities{Controller: []string{"*", "-EXPAND_VOLUME"}}},
		"without staging path": {capabilities: driver.Capabilities{Node: []string{"*", "-STAGE_UNSTAGE_VOLUME"}}, inController: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, driver.Options{Backend: backend.Loop, Capabilities: tc.capabilities})
			capability := mountCapability()
			capability.GetMount().FsType = tc.fsType
			request := createRequest("one")
			request.VolumeCapabilities = []*csi.VolumeCapability{capability}
			id := r.create(t, request)
			target := r.publishAnyhow(t, id, capability)
			file := filepath.Join(target, "file")
			if err := os.WriteFile(file, []byte("data"), 0o600); err != nil {
				t.Fatal(err)
			}
			before := sizeOf(t, target)
			if tc.inController {
				response := r.expand(t, id, 2*gib)
				if response.GetCapacityBytes() != 2*gib || !response.GetNodeExpansionRequired() {
					t.Errorf("controller answers %v, want 2 GiB and a step on the node", response)
				}
				if now := sizeOf(t, target); now != before {
					t.Errorf("the file system has %d bytes before the node's step, had %d", now, before)
				}
			}
			r.restart(t)
			for range 2 {
				response, err := r.NodeExpandVolume(t.Context(), &csi.NodeExpandVolumeRequest{
					VolumeId: id, VolumePath: target, CapacityRange: &csi.CapacityRange{RequiredBytes: 2 * gib},
				})
				if err != nil || response.GetCapacityBytes() != 2*gib {
					t.Fatalf("node answers %v, %v: want 2 GiB", response, err)
				}
			}
			if after := sizeOf(t, target); after < before+gib*9/10 {
				t.Errorf("the file system went from %d to %d bytes, want about 1 GiB more", before, after)
			}
			if data, err := os.ReadFile(file); err != nil || string(data) != "data" {
				t.Errorf("the file holds %q, %v", data, err)
			}
			if tc.inController && r.expand(t, id, 2*gib).GetNodeExpansionRequired() {
				t.Error("the controller asks for a step that the node has done")
			}
		})
	}
}

// publishAnyhow publishes a volume, with staging if the driver does that.
func (r *running) publishAnyhow(t *testing.T, id string, capability *csi.VolumeCapability) string {
	t.Helper()
	if len(r.options.Capabilities.Node) == 0 {
		_, target := r.publish(t, id, capability)
		return target
	}
	target := filepath.Join(t.TempDir(), "pod", "mount")
	_, err := r.NodePublishVolume(t.Context(), &csi.NodePublishVolumeRequest{
		VolumeId: id, TargetPath: target, VolumeCapability: capability,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := driver.Cleanup(r.options.StateDir); err != nil {
			t.Error(err)
		}
	})
	return target
}

func TestBlockVolumeExpandsOnline(t *testing.T) {
	needLoop(t)
	r := start(t, driver.Options{Backend: backend.Loop})
	request := createRequest("one")
	request.VolumeCapabilities = []*csi.VolumeCapability{blockCapability()}
	id := r.create(t, request)
	_, target := r.publish(t, id, blockCapability())
	device, err := os.OpenFile(target, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	size := func() int64 {
		end, err := device.Seek(0, 2)
		if err != nil {
			t.Fatal(err)
		}
		return end
	}
	if got := size(); got != gib {
		t.Errorf("the device has %d bytes, want 1 GiB", got)
	}
	r.expand(t, id, 2*gib)
	if _, err := r.NodeExpandVolume(t.Context(), &csi.NodeExpandVolumeRequest{VolumeId: id, VolumePath: target}); err != nil {
		t.Fatal(err)
	}
	if got := size(); got != 2*gib {
		t.Errorf("the device has %d bytes, want 2 GiB", got)
	}
}

func TestDataSurvivesUnstaging(t *testing.T) {
	for _, kind := range []string{backend.Loop, backend.Directory} {
		t.Run(kind, func(t *testing.T) {
			if kind == backend.Loop {
				needLoop(t)
			}
			r := start(t, driver.Options{Backend: kind})
			id := r.create(t, createRequest("one"))
			staged, target := r.publish(t, id, mountCapability())
			if err := os.WriteFile(filepath.Join(target, "file"), []byte("data"), 0o600); err != nil {
				t.Fatal(err)
			}
			r.withdraw(t, id, staged, target)
			if _, err := os.Lstat(target); !os.IsNotExist(err) {
				t.Errorf("the target is still there: %v", err)
			}
			_, target = r.publish(t, id, mountCapability())
			if data, err := os.ReadFile(filepath.Join(target, "file")); err != nil || string(data) != "data" {
				t.Errorf("the file holds %q, %v", data, err)
			}
		})
	}
}

// withdraw unpublishes and unstages a volume.
func (r *running) withdraw(t *testing.T, id, staged, target string) {
	t.Helper()
	for range 2 {
		_, err := r.NodeUnpublishVolume(t.Context(), &csi.NodeUnpublishVolumeRequest{VolumeId: id, TargetPath: target})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		_, err := r.NodeUnstageVolume(t.Context(), &csi.NodeUnstageVolumeRequest{VolumeId: id, StagingTargetPath: staged})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadOnlyPublishing(t *testing.T) {
	needLoop(t)
	r := start(t, driver.Options{Backend: backend.Loop})
	id := r.create(t, createRequest("one"))
	staged, _ := r.publish(t, id, mountCapability())
	target := filepath.Join(filepath.Dir(staged), "read-only")
	request := &csi.NodePublishVolumeRequest{
		VolumeId: id, StagingTargetPath: staged, TargetPath: target, VolumeCapability: mountCapability(), Readonly: true,
	}
	if _, err := r.NodePublishVolume(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(target, "file"), nil, 0o600); err == nil {
		t.Error("wrote to a read-only volume")
	}
	request.Readonly = false
	_, err := r.NodePublishVolume(t.Context(), request)
	wantCode(t, "publishing it in another way", err, codes.AlreadyExists)
}

func TestCleanupLeavesNothingBehind(t *testing.T) {
	needLoop(t)
	r := start(t, driver.Options{Backend: backend.Loop})
	var targets []string
	var mounted string
	for name, capability := range map[string]*csi.VolumeCapability{"mount": mountCapability(), "block": blockCapability()} {
		request := createRequest(name)
		request.VolumeCapabilities = []*csi.VolumeCapability{capability}
		_, target := r.publish(t, r.create(t, request), capability)
		targets = append(targets, target)
		if name == "mount" {
			mounted = target
		}
	}
	// A kubelet mounts parts of a volume elsewhere, for a subPath.
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Mkdir(elsewhere, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(mounted, elsewhere, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	targets = append(targets, elsewhere)
	r.stop(t)
	for range 2 {
		if err := driver.Cleanup(r.options.StateDir); err != nil {
			t.Fatal(err)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		if strings.Contains(string(mounts), target) {
			t.Errorf("%s is still mounted", target)
		}
	}
	backing, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range backing {
		if file, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(file), r.options.StateDir) {
			t.Errorf("%s is still attached", file)
		}
	}
}

func TestControllerAndNodeRunApart(t *testing.T) {
	dir := t.TempDir()
	controller := start(t, driver.Options{StateDir: dir, Services: []string{driver.Controller}})
	node := start(t, driver.Options{StateDir: dir, Services: []string{driver.Node}})
	id := controller.create(t, createRequest("one"))
	staged, target := node.publish(t, id, mountCapability())
	_, err := controller.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: id})
	wantCode(t, "deleting what the node uses", err, codes.FailedPrecondition)
	controller.expand(t, id, 2*gib)
	response, err := node.NodeExpandVolume(t.Context(), &csi.NodeExpandVolumeRequest{VolumeId: id, VolumePath: target})
	if err != nil || response.GetCapacityBytes() != 2*gib {
		t.Errorf("node answers %v, %v: want 2 GiB", response, err)
	}
	node.withdraw(t, id, staged, target)
	_, err = controller.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: id})
	wantCode(t, "deleting what the node gave back", err, codes.OK)
	_, err = controller.NodeGetInfo(t.Context(), &csi.NodeGetInfoRequest{})
	wantCode(t, "asking the controller for the node", err, codes.Unimplemented)
	for name, r := range map[string]*running{"controller": controller, "node": node} {
		calls := r.waitFor(t, control.Filter{}, 1)
		if first := calls[0].Seq; first != 1 {
			t.Errorf("the calls of the %s start with number %d, want 1", name, first)
		}
	}
}

func TestFileSystemAndMountOptionsOfTheClass(t *testing.T) {
	needLoop(t)
	for fsType, program := range map[string]string{"xfs": "mkfs.xfs", "ext4": "mkfs.ext4"} {
		t.Run(fsType, func(t *testing.T) {
			if _, err := exec.LookPath(program); err != nil {
				t.Skip(err)
			}
			r := start(t, driver.Options{Backend: backend.Loop})
			capability := mountCapability()
			capability.GetMount().FsType = fsType
			capability.GetMount().MountFlags = []string{"noatime", "nodev"}
			request := createRequest("one")
			request.VolumeCapabilities = []*csi.VolumeCapability{capability}
			staged, _ := r.publish(t, r.create(t, request), capability)
			mounts, err := os.ReadFile("/proc/mounts")
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(mounts)) {
				fields := strings.Fields(line)
				if fields[1] != staged {
					continue
				}
				if fields[2] != fsType || !strings.Contains(fields[3], "noatime") || !strings.Contains(fields[3], "nodev") {
					t.Errorf("mounted as %s with %s", fields[2], fields[3])
				}
				return
			}
			t.Errorf("%s is not mounted", staged)
		})
	}
}

func TestFileSystemThatIsNotThere(t *testing.T) {
	r := start(t, driver.Options{})
	request := createRequest("one")
	request.VolumeCapabilities[0].GetMount().FsType = "ntfs"
	_, err := r.CreateVolume(t.Context(), request)
	wantCode(t, "creating", err, codes.InvalidArgument)
}
