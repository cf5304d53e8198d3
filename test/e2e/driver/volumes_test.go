package driver_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver"
)

func TestVolumesSurviveARestart(t *testing.T) {
	r := start(t, driver.Options{})
	id := r.create(t, createRequest("one"))
	before, err := r.control.Volumes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.restart(t)
	if again := r.create(t, createRequest("one")); again != id {
		t.Errorf("after the restart the volume is %q, was %q", again, id)
	}
	after, err := r.control.Volumes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("volumes after the restart (-before +after):\n%s", diff)
	}
}

func TestCreateVolumeIsIdempotentByName(t *testing.T) {
	r := start(t, driver.Options{})
	original := func() *csi.CreateVolumeRequest {
		request := createRequest("one")
		request.Parameters = map[string]string{"tier": "gold"}
		return request
	}
	id := r.create(t, original())
	for name, tc := range map[string]struct {
		change func(*csi.CreateVolumeRequest)
		want   codes.Code
	}{
		"the same":            {func(*csi.CreateVolumeRequest) {}, codes.OK},
		"less":                {func(q *csi.CreateVolumeRequest) { q.CapacityRange.RequiredBytes-- }, codes.OK},
		"more":                {func(q *csi.CreateVolumeRequest) { q.CapacityRange.RequiredBytes++ }, codes.AlreadyExists},
		"a limit that it has": {func(q *csi.CreateVolumeRequest) { q.CapacityRange.LimitBytes = gib }, codes.OK},
		"a limit below it": {func(q *csi.CreateVolumeRequest) {
			q.CapacityRange = &csi.CapacityRange{LimitBytes: gib - 1}
		}, codes.AlreadyExists},
		"other parameters": {func(q *csi.CreateVolumeRequest) { q.Parameters["tier"] = "tin" }, codes.AlreadyExists},
		"block": {func(q *csi.CreateVolumeRequest) {
			q.VolumeCapabilities = []*csi.VolumeCapability{blockCapability()}
		}, codes.AlreadyExists},
	} {
		t.Run(name, func(t *testing.T) {
			request := original()
			tc.change(request)
			response, err := r.CreateVolume(t.Context(), request)
			wantCode(t, "creating it again", err, tc.want)
			if err == nil && response.GetVolume().GetVolumeId() != id {
				t.Errorf("volume is %q, want %q", response.GetVolume().GetVolumeId(), id)
			}
		})
	}
}

func TestDeletedVolumeComesBackWithAnotherID(t *testing.T) {
	r := start(t, driver.Options{})
	id := r.create(t, createRequest("one"))
	for range 2 {
		if _, err := r.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: id}); err != nil {
			t.Fatal(err)
		}
	}
	if again := r.create(t, createRequest("one")); again == id {
		t.Errorf("the new volume has the ID %q of the old one", id)
	}
}

func TestVolumeInUseIsNotDeleted(t *testing.T) {
	r := start(t, driver.Options{})
	id := r.create(t, createRequest("one"))
	attach := &csi.ControllerPublishVolumeRequest{
		VolumeId: id, NodeId: driver.DefaultNodeID, VolumeCapability: mountCapability(),
	}
	if _, err := r.ControllerPublishVolume(t.Context(), attach); err != nil {
		t.Fatal(err)
	}
	_, err := r.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: id})
	wantCode(t, "deleting an attached volume", err, codes.FailedPrecondition)
	detach := &csi.ControllerUnpublishVolumeRequest{VolumeId: id, NodeId: driver.DefaultNodeID}
	if _, err := r.ControllerUnpublishVolume(t.Context(), detach); err != nil {
		t.Fatal(err)
	}
	_, err = r.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: id})
	wantCode(t, "deleting a detached volume", err, codes.OK)
}

func TestManyVolumesAtOnce(t *testing.T) {
	r := start(t, driver.Options{})
	var all sync.WaitGroup
	for n := range 100 {
		all.Go(func() {
			if _, err := r.CreateVolume(t.Context(), createRequest(fmt.Sprint("volume-", n))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	seen := map[string]bool{}
	request := &csi.ListVolumesRequest{MaxEntries: 7}
	for {
		page, err := r.ListVolumes(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range page.GetEntries() {
			seen[entry.GetVolume().GetVolumeId()] = true
		}
		if request.StartingToken = page.GetNextToken(); request.StartingToken == "" {
			break
		}
	}
	if len(seen) != 100 {
		t.Errorf("listed %d volumes, want 100", len(seen))
	}
}

func TestTopology(t *testing.T) {
	zone := func(name string) *csi.Topology { return &csi.Topology{Segments: map[string]string{"zone": name}} }
	served := []map[string]string{{"zone": "a", "rack": "1"}, {"zone": "b", "rack": "2"}}
	for name, tc := range map[string]struct {
		options driver.Options
		asked   *csi.TopologyRequirement
		want    map[string]string
		code    codes.Code
	}{
		"nothing asked: the node's own": {
			want: map[string]string{driver.DefaultTopologyKey(driver.DefaultName): driver.DefaultNodeID},
		},
		"nothing asked: the first served": {options: driver.Options{Topologies: served}, want: served[0]},
		"anywhere: the preferred": {
			asked: &csi.TopologyRequirement{Requisite: []*csi.Topology{zone("x")}, Preferred: []*csi.Topology{zone("y")}},
			want:  map[string]string{"zone": "y"},
		},
		"served: the preferred that is": {
			options: driver.Options{Topologies: served},
			asked:   &csi.TopologyRequirement{Preferred: []*csi.Topology{zone("x"), zone("b"), zone("a")}},
			want:    served[1],
		},
		"served: none of those asked for": {
			options: driver.Options{Topologies: served},
			asked:   &csi.TopologyRequirement{Requisite: []*csi.Topology{zone("x")}},
			code:    codes.ResourceExhausted,
		},
		"no room": {options: driver.Options{CapacityBytes: gib - 1}, code: codes.ResourceExhausted},
		"no topology": {
			options: driver.Options{Capabilities: driver.Capabilities{Plugin: []string{"CONTROLLER_SERVICE"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, tc.options)
			request := createRequest("one")
			request.AccessibilityRequirements = tc.asked
			response, err := r.CreateVolume(t.Context(), request)
			wantCode(t, "creating", err, tc.code)
			var got map[string]string
			if topology := response.GetVolume().GetAccessibleTopology(); len(topology) > 0 {
				got = topology[0].GetSegments()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("topology (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCapacityIsUsedUp(t *testing.T) {
	r := start(t, driver.Options{CapacityBytes: 2 * gib, MaxVolumeBytes: gib})
	r.create(t, createRequest("one"))
	response, err := r.GetCapacity(t.Context(), &csi.GetCapacityRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if response.GetAvailableCapacity() != gib || response.GetMaximumVolumeSize().GetValue() != gib {
		t.Errorf("capacity is %v, want 1 GiB of both", response)
	}
	r.create(t, createRequest("two"))
	_, err = r.CreateVolume(t.Context(), createRequest("three"))
	wantCode(t, "creating a volume too many", err, codes.ResourceExhausted)
	large := createRequest("large")
	large.CapacityRange.RequiredBytes++
	_, err = r.CreateVolume(t.Context(), large)
	wantCode(t, "creating too large a volume", err, codes.OutOfRange)
}

func TestCapabilitiesThatAreMissingAreUnimplemented(t *testing.T) {
	r := start(t, driver.Options{Capabilities: driver.Capabilities{
		Controller: []string{"*", "-CREATE_DELETE_VOLUME", "SINGLE_NODE_MULTI_WRITER"},
		Node:       []string{},
	}})
	_, err := r.CreateVolume(t.Context(), createRequest("one"))
	wantCode(t, "creating", err, codes.Unimplemented)
	_, err = r.NodeExpandVolume(t.Context(), &csi.NodeExpandVolumeRequest{})
	wantCode(t, "expanding on the node", err, codes.Unimplemented)
	response, err := r.ControllerGetCapabilities(t.Context(), &csi.ControllerGetCapabilitiesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, capability := range response.GetCapabilities() {
		got = append(got, capability.GetRpc().GetType().String())
	}
	want := []string{
		"CLONE_VOLUME", "CREATE_DELETE_SNAPSHOT", "EXPAND_VOLUME", "GET_CAPACITY", "LIST_SNAPSHOTS", "LIST_VOLUMES", "MODIFY_VOLUME", "PUBLISH_UNPUBLISH_VOLUME", "SINGLE_NODE_MULTI_WRITER",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("capabilities (-want +got):\n%s", diff)
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for name, options := range map[string]driver.Options{
		"no endpoint":   {StateDir: t.TempDir()},
		"service":       {Endpoint: "/x", StateDir: t.TempDir(), Services: []string{"controler"}},
		"capability":    {Endpoint: "/x", StateDir: t.TempDir(), Capabilities: driver.Capabilities{Node: []string{"EXPAND"}}},
		"backend":       {Endpoint: "/x", StateDir: t.TempDir(), Backend: "tape"},
		"in-flight":     {Endpoint: "/x", StateDir: t.TempDir(), InFlight: "drop"},
		"below nothing": {Endpoint: "/x", StateDir: t.TempDir(), CapacityBytes: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if d, err := driver.Start(t.Context(), options); err == nil {
				t.Error("the driver started", d.Stop())
			}
		})
	}
}
