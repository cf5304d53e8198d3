package provision_test

import (
	"maps"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/wrapperspb"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

const ownNode, zoneKey = "n1", "zone"

// onNode is wanting of 1Gi in node deployment, on node n1 in zone a, with a driver
// that has topology and tells its capacity.
func onNode() provision.Input {
	in := wanting()
	in.Node = &provision.Node{Name: ownNode, Competes: true}
	in.Options.Topology, in.Options.ImmediateTopology = true, true
	in.Driver.Capabilities.Topology, in.Driver.Capabilities.GetCapacity = true, true
	in.Class.Parameters = map[string]string{"tier": "gold", "csi.storage.k8s.io/fstype": "xfs"}
	in.Claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	return in
}

// here is what a node knows of the topology: its own place.
func here(in provision.Input) topology.Facts {
	index := topology.NewIndex()
	index.SetNode(ownNode, map[string]string{zoneKey: "a"})
	index.SetRegistration(ownNode, []string{zoneKey})
	return index.Facts(in.Where())
}

func allowed(zones ...string) []corev1.TopologySelectorTerm {
	return []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: zoneKey, Values: zones}}}}
}

func bindsLate(in *provision.Input) {
	mode := storagev1.VolumeBindingWaitForFirstConsumer
	in.Class.VolumeBindingMode = &mode
}

// TestNodeDeployment: which claims a node provisions, competes for, and leaves
// alone.
func TestNodeDeployment(t *testing.T) {
	selected := func(node string) func(*provision.Input) {
		return func(in *provision.Input) { in.Claim.Annotations[selectedNode] = node }
	}
	both := func(changes ...func(*provision.Input)) func(*provision.Input) {
		return func(in *provision.Input) {
			for _, change := range changes {
				change(in)
			}
		}
	}
	noClass := func(in *provision.Input) { in.Class = nil }
	noUID := func(in *provision.Input) { in.Claim.UID = "" }
	for name, test := range map[string]struct {
		change func(*provision.Input)
		want   provision.Verdict
		asks   bool
	}{
		"of no node":                     {func(*provision.Input) {}, provision.Compete, true},
		"of this node":                   {selected(ownNode), provision.Act, false},
		"of another node":                {selected("n2"), provision.Skip, false},
		"of another node, older name":    {func(in *provision.Input) { in.Claim.Annotations[selectedAlpha] = "n2" }, provision.Skip, false},
		"late, of no node":               {bindsLate, provision.Skip, false},
		"late, of this node":             {both(bindsLate, selected(ownNode)), provision.Act, false},
		"late, of another node":          {both(bindsLate, selected("n2")), provision.Skip, false},
		"not to be competed for":         {func(in *provision.Input) { in.Node.Competes = false }, provision.Skip, false},
		"not competed for, of this node": {both(selected(ownNode), func(in *provision.Input) { in.Node.Competes = false }), provision.Act, false},
		"a class that does not say when": {func(in *provision.Input) { in.Class.VolumeBindingMode = nil }, provision.Skip, false},
		"of another driver":              {func(in *provision.Input) { in.Claim.Annotations[provisionerKey] = "other" }, provision.Skip, false},
		"bound":                          {func(in *provision.Input) { in.Claim.Spec.VolumeName = "pv" }, provision.Skip, false},
		"class missing":                  {noClass, provision.Await, false},
		"class missing, of this node":    {both(noClass, selected(ownNode)), provision.Reject, false},
		"class missing, of another node": {both(noClass, selected("n2")), provision.Skip, false},
		"allowed here, among others":     {func(in *provision.Input) { in.Class.AllowedTopologies = allowed("b", "a") }, provision.Compete, true},
		"not allowed here":               {func(in *provision.Input) { in.Class.AllowedTopologies = allowed("b", "c") }, provision.Await, false},
		"not allowed here, without its use": {func(in *provision.Input) {
			in.Class.AllowedTopologies, in.Options.Topology = allowed("b", "c"), false
		}, provision.Compete, true},
		"not allowed on its node":  {both(selected(ownNode), func(in *provision.Input) { in.Class.AllowedTopologies = allowed("b") }), provision.Reject, false},
		"no room can be asked for": {func(in *provision.Input) { in.Driver.Capabilities.GetCapacity = false }, provision.Compete, false},
		"of no size":               {func(in *provision.Input) { in.Claim.Spec.Resources.Requests = nil }, provision.Compete, false},
		"wrong everywhere":         {noUID, provision.Compete, false},
		"a wrong class":            {func(in *provision.Input) { in.Class.Parameters["csi.storage.k8s.io/no"] = "x" }, provision.Compete, false},
		"for a populator": {func(in *provision.Input) {
			in.Claim.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "Dataset", Name: "d"}
		}, provision.Compete, false},
		"for a populator, of the node": {both(selected(ownNode), func(in *provision.Input) {
			in.Claim.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "Dataset", Name: "d"}
		}), provision.Leave, false},
		"a driver without topology": {func(in *provision.Input) { in.Driver.Capabilities.Topology = false }, provision.Compete, true},
	} {
		t.Run(name, func(t *testing.T) {
			in := onNode()
			test.change(&in)
			in.Facts = here(in)
			annotations := maps.Clone(in.Claim.Annotations)
			d := provision.Decide(in)
			checkShape(t, d)
			if d.Verdict != test.want || (d.Room.Request != nil) != test.asks {
				t.Errorf("the verdict is %s (%v), asking %v; want %s", verdicts()[d.Verdict], d.Err, d.Room.Request, verdicts()[test.want])
			}
			if diff := cmp.Diff(annotations, in.Claim.Annotations); diff != "" {
				t.Errorf("the claim was changed (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRoom: the driver is asked for what CreateVolume would get, at the own place.
func TestRoom(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*provision.Input)
		place  *csipb.Topology
	}{
		"here":                       {nil, &csipb.Topology{Segments: map[string]string{zoneKey: "a"}}},
		"here, of those allowed":     {func(in *provision.Input) { in.Class.AllowedTopologies = allowed("b", "a") }, &csipb.Topology{Segments: map[string]string{zoneKey: "a"}}},
		"of a driver without places": {func(in *provision.Input) { in.Driver.Capabilities.Topology = false }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			in := onNode()
			if test.change != nil {
				test.change(&in)
			}
			in.Facts = here(in)
			want := &csipb.GetCapacityRequest{
				Parameters: map[string]string{"tier": "gold"}, AccessibleTopology: test.place,
				VolumeCapabilities: []*csipb.VolumeCapability{{
					AccessMode: &csipb.VolumeCapability_AccessMode{Mode: csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER},
					AccessType: &csipb.VolumeCapability_Mount{Mount: &csipb.VolumeCapability_MountVolume{FsType: "xfs"}},
				}},
			}
			room := provision.Decide(in).Room
			if diff := cmp.Diff(want, room.Request, protocmp.Transform()); diff != "" || room.Bytes != 1<<30 {
				t.Errorf("asked for %d bytes (-want +got):\n%s", room.Bytes, diff)
			}
			in.Claim.Annotations[selectedNode] = ownNode
			in.Facts = here(in)
			plan := provision.Decide(in).Plan
			if diff := cmp.Diff(plan.Request.GetParameters(), room.Request.GetParameters()); diff != "" || !plan.Reschedule {
				t.Errorf("CreateVolume has other parameters (-want +got), or the volume can't go elsewhere:\n%s", diff)
			}
		})
	}
}

func TestRoomSuffices(t *testing.T) {
	for name, test := range map[string]struct {
		answer *csipb.GetCapacityResponse
		want   bool
	}{
		"just so much":     {&csipb.GetCapacityResponse{AvailableCapacity: 10}, true},
		"too little":       {&csipb.GetCapacityResponse{AvailableCapacity: 9}, false},
		"not in one piece": {&csipb.GetCapacityResponse{AvailableCapacity: 99, MaximumVolumeSize: wrapperspb.Int64(9)}, false},
		"in one piece":     {&csipb.GetCapacityResponse{AvailableCapacity: 99, MaximumVolumeSize: wrapperspb.Int64(10)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (provision.Room{Bytes: 10}).Suffices(test.answer); got != test.want {
				t.Errorf("Suffices = %t, want %t", got, test.want)
			}
		})
	}
}
