package driver_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/backend"
)

func (r *running) snapshot(t *testing.T, name, volume string) *csi.Snapshot {
	t.Helper()
	response, err := r.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{Name: name, SourceVolumeId: volume})
	if err != nil {
		t.Fatal(err)
	}
	return response.GetSnapshot()
}

func fromSnapshot(id string) *csi.VolumeContentSource {
	return &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: id}}}
}

func fromVolume(id string) *csi.VolumeContentSource {
	return &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Volume{Volume: &csi.VolumeContentSource_VolumeSource{VolumeId: id}}}
}

// createFrom asks for a volume with data.
func createFrom(name string, from *csi.VolumeContentSource, bytes int64, capability *csi.VolumeCapability) *csi.CreateVolumeRequest {
	request := createRequest(name)
	request.VolumeContentSource = from
	request.CapacityRange.RequiredBytes = bytes
	request.VolumeCapabilities = []*csi.VolumeCapability{capability}
	return request
}

// TestCopiesHaveTheData: a volume from a snapshot, or another volume, has the data
// of when it was taken, and is as large as it was asked for, while the original is
// in use.
func TestCopiesHaveTheData(t *testing.T) {
	kinds := []string{backend.Directory}
	if backend.CanLoop() == nil {
		kinds = append(kinds, backend.Loop)
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			r := start(t, driver.Options{Backend: kind})
			original := r.create(t, createRequest("original"))
			_, mounted := r.publish(t, original, mountCapability())
			file := filepath.Join(mounted, "greeting")
			write := func(text string) {
				t.Helper()
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("of the snapshot")
			taken := r.snapshot(t, "one", original)
			if taken.GetSizeBytes() != gib || taken.GetSourceVolumeId() != original || !taken.GetReadyToUse() {
				t.Errorf("the snapshot is %v", taken)
			}
			write("of the clone")
			clone := r.create(t, createFrom("clone", fromVolume(original), gib, mountCapability()))
			write("of the original")
			restored := r.create(t, createFrom("restored", fromSnapshot(taken.GetSnapshotId()), 2*gib, mountCapability()))
			r.restart(t) // It remembers what it has copied.
			again := r.create(t, createFrom("restored", fromSnapshot(taken.GetSnapshotId()), 2*gib, mountCapability()))
			if again != restored {
				t.Errorf("asked again, the driver makes another volume")
			}
			for id, want := range map[string]string{restored: "of the snapshot", clone: "of the clone", original: "of the original"} {
				path := mounted
				if id != original {
					_, path = r.publish(t, id, mountCapability())
				}
				got, err := os.ReadFile(filepath.Join(path, "greeting"))
				if err != nil || string(got) != want {
					t.Errorf("the volume holds %q (%v), want %q", got, err, want)
				}
				if size := sizeOf(t, path); id == restored && kind == backend.Loop && size < 2*gib*9/10 {
					t.Errorf("the file system has %d bytes", size)
				}
			}
		})
	}
}

// TestBlockCopies: the same for a device, as it is and as a file system.
func TestBlockCopies(t *testing.T) {
	needLoop(t)
	r := start(t, driver.Options{Backend: backend.Loop})
	request := createRequest("original")
	request.VolumeCapabilities = []*csi.VolumeCapability{blockCapability()}
	original := r.create(t, request)
	_, device := r.publish(t, original, blockCapability())
	if err := os.WriteFile(device, []byte("written to the device"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken := r.snapshot(t, "one", original)
	_, copied := r.publish(t, r.create(t, createFrom("restored", fromSnapshot(taken.GetSnapshotId()), gib, blockCapability())), blockCapability())
	file, err := os.Open(copied)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got := make([]byte, len("written to the device"))
	if _, err := file.ReadAt(got, 0); err != nil || string(got) != "written to the device" {
		t.Errorf("the copy holds %q: %v", got, err)
	}
}

func TestSnapshotErrors(t *testing.T) {
	r := start(t, driver.Options{})
	original, other := r.create(t, createRequest("original")), r.create(t, createRequest("other"))
	taken := r.snapshot(t, "one", original)
	if again := r.snapshot(t, "one", original); again.GetSnapshotId() != taken.GetSnapshotId() {
		t.Error("asked again, the driver takes another snapshot")
	}
	_, err := r.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{Name: "one", SourceVolumeId: other})
	wantCode(t, "another volume", err, codes.AlreadyExists)
	_, err = r.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{Name: "two", SourceVolumeId: "vol-0123456789abcdef"})
	wantCode(t, "no volume", err, codes.NotFound)

	from := fromSnapshot(taken.GetSnapshotId())
	_, err = r.CreateVolume(t.Context(), createFrom("small", from, gib-1, mountCapability()))
	wantCode(t, "less than the snapshot", err, codes.OutOfRange)
	r.create(t, createFrom("restored", from, gib, mountCapability()))
	_, err = r.CreateVolume(t.Context(), createFrom("restored", fromVolume(original), gib, mountCapability()))
	wantCode(t, "from something else", err, codes.AlreadyExists)
	for range 2 {
		if _, err := r.DeleteSnapshot(t.Context(), &csi.DeleteSnapshotRequest{SnapshotId: taken.GetSnapshotId()}); err != nil {
			t.Error(err)
		}
	}
	_, err = r.CreateVolume(t.Context(), createFrom("late", from, gib, mountCapability()))
	wantCode(t, "from a snapshot that has gone", err, codes.NotFound)
	r.create(t, createFrom("restored", from, gib, mountCapability())) // That one it has.

	poor := start(t, driver.Options{Capabilities: driver.Capabilities{Controller: []string{"*", "-CLONE_VOLUME", "-CREATE_DELETE_SNAPSHOT"}}})
	_, err = poor.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{Name: "one", SourceVolumeId: original})
	wantCode(t, "a driver without snapshots", err, codes.Unimplemented)
	for name, from := range map[string]*csi.VolumeContentSource{"snapshot": from, "volume": fromVolume(original), "nothing": {}} {
		_, err = poor.CreateVolume(t.Context(), createFrom("x", from, gib, mountCapability()))
		wantCode(t, "a driver that can't copy a "+name, err, codes.InvalidArgument)
	}
}
