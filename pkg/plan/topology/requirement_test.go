package topology_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// onZone is what the index knows of a cluster with three zones, as seen from a
// node in zone b, or from nowhere.
func onZone(place string) topology.Facts {
	facts := topology.Facts{
		Keys:    []string{"zone"},
		Cluster: topology.NewSet(terms("zone=a", "zone=b", "zone=c")),
	}
	if place != "" {
		facts.NodeKnown, facts.Place = true, term(place)
	}
	return facts
}

func TestRequirement(t *testing.T) {
	type request = topology.Request
	allowed := []corev1.TopologySelectorTerm{allow(in("zone", "d", "b", "a"))}
	everything := []corev1.TopologySelectorTerm{allow()}
	onRack := topology.Facts{
		NodeKnown: true, Keys: []string{"rack", "zone"}, Place: term("rack=2,zone=b"),
		Cluster: topology.NewSet(terms("rack=1,zone=a", "rack=1,zone=b", "rack=2,zone=b")),
	}
	const none = "none"
	for name, test := range map[string]struct {
		request              request
		requisite, preferred string
	}{
		"late, strict": {
			request{SelectedNode: "n", Strict: true, Facts: onZone("zone=b")}, "zone=b", "zone=b",
		},
		"late, strict, --immediate-topology does not matter": {
			request{SelectedNode: "n", Strict: true, Immediate: true, Facts: onZone("zone=b")}, "zone=b", "zone=b",
		},
		"late, strict, allowed": {
			request{SelectedNode: "n", Strict: true, Allowed: allowed, Facts: onZone("zone=b")}, "zone=b", "zone=b",
		},
		"late, strict, wider allowed": {
			request{SelectedNode: "n", Strict: true, Allowed: allowed, Facts: onRack}, "rack=2,zone=b", "rack=2,zone=b",
		},
		"late": {
			request{SelectedNode: "n", Facts: onZone("zone=b")}, "zone=a zone=b zone=c", "zone=b zone=c zone=a",
		},
		"late, first of the cluster": {
			request{SelectedNode: "n", Facts: onZone("zone=a")}, "zone=a zone=b zone=c", "zone=a zone=b zone=c",
		},
		"late, the name does not matter": {
			request{SelectedNode: "n", ClaimName: "claimA-testset-1", Immediate: true, Facts: onZone("zone=c")},
			"zone=a zone=b zone=c", "zone=c zone=a zone=b",
		},
		"late, two keys": {
			request{SelectedNode: "n", Facts: onRack},
			"rack=1,zone=a rack=1,zone=b rack=2,zone=b", "rack=2,zone=b rack=1,zone=a rack=1,zone=b",
		},
		"late, allowed": {
			request{SelectedNode: "n", Allowed: allowed, Facts: onZone("zone=b")},
			"zone=a zone=b zone=d", "zone=b zone=d zone=a",
		},
		"late, wider allowed": {
			request{SelectedNode: "n", Allowed: allowed, Facts: onRack}, "zone=a zone=b zone=d", "zone=b zone=d zone=a",
		},
		"late, the first of the allowed that match": {
			request{SelectedNode: "n", Allowed: []corev1.TopologySelectorTerm{
				allow(in("zone", "a", "b")), allow(in("zone", "b"), in("rack", "2")),
			}, Facts: onRack},
			"zone=a zone=b rack=2,zone=b", "zone=b rack=2,zone=b zone=a",
		},
		"late, allowed stands for nothing": {
			request{SelectedNode: "n", Allowed: everything, Facts: onZone("zone=b")}, none, none,
		},
		"immediate": {
			request{Immediate: true, ClaimName: "claimA-testset-0", Facts: onZone("")},
			"zone=a zone=b zone=c", "zone=c zone=a zone=b",
		},
		"immediate, next": {
			request{Immediate: true, ClaimName: "claimA-testset-1", Facts: onZone("")},
			"zone=a zone=b zone=c", "zone=a zone=b zone=c",
		},
		"immediate, one after": {
			request{Immediate: true, ClaimName: "claimA-testset-2", Facts: onZone("")},
			"zone=a zone=b zone=c", "zone=b zone=c zone=a",
		},
		"immediate, strict does not matter": {
			request{Immediate: true, Strict: true, ClaimName: "claimA-testset-2", Facts: onZone("")},
			"zone=a zone=b zone=c", "zone=b zone=c zone=a",
		},
		"immediate, allowed": {
			request{Immediate: true, Allowed: allowed, ClaimName: "claimA-testset-2", Facts: onZone("")},
			"zone=a zone=b zone=d", "zone=b zone=d zone=a",
		},
		"immediate, allowed, nothing known of the cluster": {
			request{Immediate: true, Allowed: allowed, ClaimName: "claimA-testset-2"},
			"zone=a zone=b zone=d", "zone=b zone=d zone=a",
		},
		"immediate, allowed stands for nothing": {
			request{Immediate: true, Allowed: everything, Facts: onZone("")}, none, none,
		},
		"off":                               {request{ClaimName: "web", Facts: onZone("")}, none, none},
		"off, nothing known of the cluster": {request{}, none, none},
		"off, allowed": {
			request{Allowed: allowed, ClaimName: "claimA-testset-2", Facts: onZone("")},
			"zone=a zone=b zone=d", "zone=b zone=d zone=a",
		},
		"off, allowed stands for nothing": {request{Allowed: everything}, none, none},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := topology.Requirement(test.request)
			if err != nil {
				t.Fatalf("unexpected error: %v", err)
			}
			if test.requisite == none {
				if got != nil {
					t.Errorf("got %v, want no requirement", got)
				}
				return
			}
			if diff := cmp.Diff(strings.Fields(test.requisite), places(got.GetRequisite())); diff != "" {
				t.Errorf("requisite (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(strings.Fields(test.preferred), places(got.GetPreferred())); diff != "" {
				t.Errorf("preferred (-want +got):\n%s", diff)
			}
		})
	}
}

// The requirements of a cluster's claims are slices of one list.
func TestRequirementSharesTheCluster(t *testing.T) {
	facts := onZone("zone=b")
	late, err := topology.Requirement(topology.Request{SelectedNode: "n", Facts: facts})
	if err != nil {
		t.Fatal(err)
	}
	immediate, err := topology.Requirement(topology.Request{Immediate: true, Facts: facts})
	if err != nil {
		t.Fatal(err)
	}
	if &late.Requisite[0] != &immediate.Requisite[0] {
		t.Error("the lists are copies")
	}
}

func TestRequirementErrors(t *testing.T) {
	type request = topology.Request
	outside := []corev1.TopologySelectorTerm{allow(in("zone", "x", "y"))}
	var crowd []topology.Term
	for i := range 12 {
		crowd = append(crowd, term(fmt.Sprintf("zone=%02d", i)))
	}
	noLabel := onZone("")
	noLabel.NodeKnown, noLabel.MissingLabel = true, "zone"
	nowhere := onZone("")
	nowhere.Cluster = topology.NewSet(nil)
	large := onZone("zone=b")
	large.Cluster = topology.NewSet(crowd)
	for name, test := range map[string]struct {
		request request
		want    string
		gone    bool
	}{
		"selected node gone": {
			request{SelectedNode: "n", Facts: topology.Facts{}},
			`selected node "n" has no CSINode object: the node was removed, or its kubelet has not registered yet`, true,
		},
		"selected node gone, strict and allowed": {
			request{SelectedNode: "n", Strict: true, Allowed: outside},
			`selected node "n" has no CSINode object: the node was removed, or its kubelet has not registered yet`, true,
		},
		"selected node without the driver": {
			request{SelectedNode: "n", Facts: topology.Facts{NodeKnown: true}},
			`selected node "n" has no topology keys of the driver in its CSINode object: is the driver's node service running there?`, false,
		},
		"selected node without a label": {
			request{SelectedNode: "n", Facts: noLabel},
			`selected node "n" has no label "zone", which the driver's CSINode entry lists as a topology key`, false,
		},
		"strict, not allowed": {
			request{SelectedNode: "n", Strict: true, Allowed: outside, Facts: onZone("zone=b")},
			`selected node "n" is in topology "zone=b", which the class's allowedTopologies (zone=x; zone=y) exclude`, false,
		},
		"strict, nothing allowed": {
			request{SelectedNode: "n", Strict: true, Allowed: []corev1.TopologySelectorTerm{allow()}, Facts: onZone("zone=b")},
			`selected node "n" is in topology "zone=b", which the class's allowedTopologies (none) exclude`, false,
		},
		"not allowed": {
			request{SelectedNode: "n", Allowed: outside, Facts: onZone("zone=b")},
			`selected node "n" is in topology "zone=b", which is not among those where the volume may be (zone=x; zone=y)`, false,
		},
		"not in the cluster": {
			request{SelectedNode: "n", Facts: large},
			`selected node "n" is in topology "zone=b", which is not among those where the volume may be ` +
				`(zone=00; zone=01; zone=02; zone=03; zone=04 and 7 more)`, false,
		},
		"immediate, no node service": {
			request{Immediate: true},
			`no node carries topology keys of the driver: is its node service running and registered (see the CSINode objects)?`, false,
		},
		"immediate, no labels": {
			request{Immediate: true, Facts: nowhere},
			`no node has labels for the driver's topology keys ["zone"]`, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := topology.Requirement(test.request)
			if got != nil || err == nil {
				t.Fatalf("Requirement = %v, %v; want an error", got, err)
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			var gone *topology.NodeGoneError
			if errors.As(err, &gone) != test.gone || test.gone && gone.Node != "n" {
				t.Errorf("NodeGoneError: %v, want %t", gone, test.gone)
			}
		})
	}
}
