package driver_test

import (
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

func TestSizesThatCannotBe(t *testing.T) {
	r := start(t, driver.Options{MaxVolumeBytes: 3 * gib, CapacityBytes: 4 * gib})
	id := r.create(t, createRequest("one"))
	r.create(t, createRequest("two"))
	for name, tc := range map[string]struct {
		asked *csi.CapacityRange
		want  codes.Code
	}{
		"too large":         {&csi.CapacityRange{RequiredBytes: 3*gib + 1}, codes.OutOfRange},
		"just room enough":  {&csi.CapacityRange{RequiredBytes: 3 * gib, LimitBytes: 3 * gib}, codes.OK},
		"smaller":           {&csi.CapacityRange{RequiredBytes: 1}, codes.OK},
		"limit below it":    {&csi.CapacityRange{LimitBytes: 1}, codes.OutOfRange},
		"limit below asked": {&csi.CapacityRange{RequiredBytes: 2, LimitBytes: 1}, codes.InvalidArgument},
		"nothing":           {nil, codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{VolumeId: id, CapacityRange: tc.asked})
			wantCode(t, "expanding", err, tc.want)
		})
	}
	r.expand(t, id, 3*gib)
	full := &csi.CapacityRange{RequiredBytes: 2 * gib}
	volumes, err := r.ListVolumes(t.Context(), &csi.ListVolumesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range volumes.GetEntries() {
		if other := entry.GetVolume().GetVolumeId(); other != id {
			_, err := r.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{VolumeId: other, CapacityRange: full})
			wantCode(t, "expanding into the rest", err, codes.ResourceExhausted)
		}
	}
}

func TestInfeasibleSizesOnDemand(t *testing.T) {
	r := start(t, driver.Options{})
	id := r.create(t, createRequest("one"))
	r.rule(t, control.Rule{
		Match: control.Match{Method: "ControllerExpandVolume", MinRequiredBytes: 5 * gib}, Code: codes.OutOfRange,
	})
	_, err := r.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{
		VolumeId: id, CapacityRange: &csi.CapacityRange{RequiredBytes: 5 * gib},
	})
	wantCode(t, "expanding too far", err, codes.OutOfRange)
	r.expand(t, id, 5*gib-1)
}

func TestNodeDoesNotExpandBeyondTheController(t *testing.T) {
	r := start(t, driver.Options{})
	id := r.create(t, createRequest("one"))
	_, target := r.publish(t, id, mountCapability())
	_, err := r.NodeExpandVolume(t.Context(), &csi.NodeExpandVolumeRequest{
		VolumeId: id, VolumePath: target, CapacityRange: &csi.CapacityRange{RequiredBytes: 2 * gib},
	})
	wantCode(t, "expanding on the node", err, codes.OutOfRange)
}

func TestOfflineExpansion(t *testing.T) {
	r := start(t, driver.Options{Capabilities: driver.Capabilities{Plugin: []string{"*", "-ONLINE", "OFFLINE"}}})
	id := r.create(t, createRequest("one"))
	staged, target := r.publish(t, id, mountCapability())
	_, err := r.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{
		VolumeId: id, CapacityRange: &csi.CapacityRange{RequiredBytes: 2 * gib},
	})
	wantCode(t, "expanding a volume in use", err, codes.FailedPrecondition)
	r.expand(t, id, gib)
	r.withdraw(t, id, staged, target)
	if !r.expand(t, id, 2*gib).GetNodeExpansionRequired() {
		t.Error("the node's step is not asked for")
	}
	_, target = r.publish(t, id, mountCapability())
	response, err := r.NodeExpandVolume(t.Context(), &csi.NodeExpandVolumeRequest{VolumeId: id, VolumePath: target})
	if err != nil || response.GetCapacityBytes() != 2*gib {
		t.Errorf("node answers %v, %v: want 2 GiB", response, err)
	}
}

func TestModifyKeepsWhatIsNotNamed(t *testing.T) {
	r := start(t, driver.Options{MutableParameters: []string{"iops", "throughput"}})
	request := createRequest("one")
	request.MutableParameters = map[string]string{"iops": "1", "throughput": "2"}
	id := r.create(t, request)
	for key, want := range map[string]codes.Code{"iops": codes.OK, "colour": codes.InvalidArgument} {
		_, err := r.ControllerModifyVolume(t.Context(), &csi.ControllerModifyVolumeRequest{
			VolumeId: id, MutableParameters: map[string]string{key: "9"},
		})
		wantCode(t, "modifying "+key, err, want)
	}
	volumes, err := r.control.Volumes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := volumes[0].MutableParameters; len(got) != 2 || got["iops"] != "9" || got["throughput"] != "2" {
		t.Errorf("parameters are %v, want iops 9 and throughput 2", got)
	}
}
