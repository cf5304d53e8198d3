package topology_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// TestClusters goes from nodes to requirements, for each value of --strict-topology
// and --immediate-topology.
func TestClusters(t *testing.T) {
	const (
		none    = "none"
		noKeys  = "error: no node carries topology keys"
		noLabel = "error: no node has labels for"
	)
	zones := []string{
		"node n1 zone=a,rack=1", "csinode n1 zone", "node n2 zone=b,rack=1", "csinode n2 zone", "node n3 zone=c,rack=2", "csinode n3 zone",
	}
	racks := []string{
		"node n1 zone=a,rack=1", "csinode n1 zone rack", "node n2 zone=b,rack=1", "csinode n2 zone rack", "node n3 zone=b,rack=2", "csinode n3 rack zone",
	}
	ab := []corev1.TopologySelectorTerm{allow(in("zone", "b", "a"))}
	set := func(ordinal string) string { return "claimA-testset-" + ordinal }
	for name, test := range map[string]struct {
		nodes   []string
		node    string
		claim   string
		allowed []corev1.TopologySelectorTerm
		// want are requisite | preferred, or a part of the error: with --strict-topology
		// and --immediate-topology, with the first, with the second, with neither. A
		// shorter list repeats its last: [both, strict] [immediate, none].
		both, strict, immediate, neither string
	}{
		"late": {zones, "n2", set("0"), nil,
			"zone=b | zone=b", "zone=b | zone=b", "zone=a zone=b zone=c | zone=b zone=c zone=a", "zone=a zone=b zone=c | zone=b zone=c zone=a"},
		"late, two keys": {racks, "n3", set("0"), nil,
			"rack=2,zone=b | rack=2,zone=b", "rack=2,zone=b | rack=2,zone=b",
			"rack=1,zone=a rack=1,zone=b rack=2,zone=b | rack=2,zone=b rack=1,zone=a rack=1,zone=b",
			"rack=1,zone=a rack=1,zone=b rack=2,zone=b | rack=2,zone=b rack=1,zone=a rack=1,zone=b"},
		"late, allowed": {zones, "n2", "", ab,
			"zone=b | zone=b", "zone=b | zone=b", "zone=a zone=b | zone=b zone=a", "zone=a zone=b | zone=b zone=a"},
		"late, not allowed": {zones, "n3", "", ab,
			"error: exclude", "error: exclude", "error: not among those", "error: not among those"},
		"late, wider than allowed": {racks, "n3", "", ab,
			"rack=2,zone=b | rack=2,zone=b", "rack=2,zone=b | rack=2,zone=b", "zone=a zone=b | zone=b zone=a", "zone=a zone=b | zone=b zone=a"},
		"late, narrower than allowed": {zones, "n1", "", []corev1.TopologySelectorTerm{allow(in("zone", "a"), in("rack", "1", "2"))},
			"error: exclude", "error: exclude", "error: not among those", "error: not among those"},
		"late, allowed in two terms": {racks, "n3", "", []corev1.TopologySelectorTerm{allow(in("zone", "a")), allow(in("zone", "b"), in("rack", "1", "2"))},
			"rack=2,zone=b | rack=2,zone=b", "rack=2,zone=b | rack=2,zone=b",
			"zone=a rack=1,zone=b rack=2,zone=b | rack=2,zone=b zone=a rack=1,zone=b",
			"zone=a rack=1,zone=b rack=2,zone=b | rack=2,zone=b zone=a rack=1,zone=b"},
		"late, all nodes in one zone": {[]string{"node n1 zone=a", "csinode n1 zone", "node n2 zone=a", "csinode n2 zone"}, "n2", set("1"), nil,
			"zone=a | zone=a", "zone=a | zone=a", "zone=a | zone=a", "zone=a | zone=a"},
		"late, other nodes lack the driver": {[]string{"node n1 zone=a", "csinode n1 zone", "node n2 zone=b", "csinode n2"}, "n1", "", nil,
			"zone=a | zone=a", "zone=a | zone=a", "zone=a zone=b | zone=a zone=b", "zone=a zone=b | zone=a zone=b"},
		"late, other nodes lack a label": {[]string{"node n1 zone=a,rack=1", "csinode n1 zone rack", "node n2 zone=b", "csinode n2 zone rack"}, "n1", "", nil,
			"rack=1,zone=a | rack=1,zone=a", "rack=1,zone=a | rack=1,zone=a", "rack=1,zone=a | rack=1,zone=a", "rack=1,zone=a | rack=1,zone=a"},
		"late, other nodes have other keys": {[]string{"node n1 zone=a", "csinode n1 zone", "node n2 rack=1", "csinode n2 rack", "node n3 zone=b,rack=1", "csinode n3 rack"}, "n1", "", nil,
			"zone=a | zone=a", "zone=a | zone=a", "zone=a zone=b | zone=a zone=b", "zone=a zone=b | zone=a zone=b"},
		"late, the node lacks the driver": {[]string{"node n1 zone=a", "csinode n1"}, "n1", "", nil,
			"error: no topology keys", "error: no topology keys", "error: no topology keys", "error: no topology keys"},
		"late, the node lacks a label": {[]string{"node n1 rack=1", "csinode n1 zone"}, "n1", "", nil,
			`error: no label "zone"`, `error: no label "zone"`, `error: no label "zone"`, `error: no label "zone"`},
		"late, the node is unknown": {zones, "n9", "", nil,
			"error: no CSINode", "error: no CSINode", "error: no CSINode", "error: no CSINode"},
		"late, the node is unknown, allowed": {zones, "n9", "", ab,
			"error: no CSINode", "error: no CSINode", "error: no CSINode", "error: no CSINode"},

		"at once, 0": {zones, "", set("0"), nil,
			"zone=a zone=b zone=c | zone=c zone=a zone=b", none, "zone=a zone=b zone=c | zone=c zone=a zone=b", none},
		"at once, 1": {zones, "", set("1"), nil,
			"zone=a zone=b zone=c | zone=a zone=b zone=c", none, "zone=a zone=b zone=c | zone=a zone=b zone=c", none},
		"at once, 2": {zones, "", set("2"), nil,
			"zone=a zone=b zone=c | zone=b zone=c zone=a", none, "zone=a zone=b zone=c | zone=b zone=c zone=a", none},
		"at once, 3": {zones, "", set("3"), nil,
			"zone=a zone=b zone=c | zone=c zone=a zone=b", none, "zone=a zone=b zone=c | zone=c zone=a zone=b", none},
		"at once, of another template": {zones, "", "logs-testset-1", nil,
			"zone=a zone=b zone=c | zone=a zone=b zone=c", none, "zone=a zone=b zone=c | zone=a zone=b zone=c", none},
		"at once, two keys": {racks, "", set("1"), nil,
			"rack=1,zone=a rack=1,zone=b rack=2,zone=b | rack=1,zone=a rack=1,zone=b rack=2,zone=b", none,
			"rack=1,zone=a rack=1,zone=b rack=2,zone=b | rack=1,zone=a rack=1,zone=b rack=2,zone=b", none},
		"at once, allowed, 0": {zones, "", set("0"), ab,
			"zone=a zone=b | zone=b zone=a", "zone=a zone=b | zone=b zone=a", "zone=a zone=b | zone=b zone=a", "zone=a zone=b | zone=b zone=a"},
		"at once, allowed, 1": {zones, "", set("1"), ab,
			"zone=a zone=b | zone=a zone=b", "zone=a zone=b | zone=a zone=b", "zone=a zone=b | zone=a zone=b", "zone=a zone=b | zone=a zone=b"},
		"at once, allowed, every combination": {zones, "", set("1"), []corev1.TopologySelectorTerm{allow(in("zone", "b", "a"), in("rack", "2", "1"))},
			"rack=1,zone=a rack=1,zone=b rack=2,zone=a rack=2,zone=b | rack=1,zone=a rack=1,zone=b rack=2,zone=a rack=2,zone=b",
			"rack=1,zone=a rack=1,zone=b rack=2,zone=a rack=2,zone=b | rack=1,zone=a rack=1,zone=b rack=2,zone=a rack=2,zone=b",
			"rack=1,zone=a rack=1,zone=b rack=2,zone=a rack=2,zone=b | rack=1,zone=a rack=1,zone=b rack=2,zone=a rack=2,zone=b",
			"rack=1,zone=a rack=1,zone=b rack=2,zone=a rack=2,zone=b | rack=1,zone=a rack=1,zone=b rack=2,zone=a rack=2,zone=b"},
		"at once, allowed twice": {zones, "", set("1"), []corev1.TopologySelectorTerm{allow(in("zone", "a", "b")), allow(in("zone", "b", "a"))},
			"zone=a zone=b | zone=a zone=b", "zone=a zone=b | zone=a zone=b", "zone=a zone=b | zone=a zone=b", "zone=a zone=b | zone=a zone=b"},
		"at once, allowed, no nodes": {nil, "", set("1"), ab,
			"zone=a zone=b | zone=a zone=b", "zone=a zone=b | zone=a zone=b", "zone=a zone=b | zone=a zone=b", "zone=a zone=b | zone=a zone=b"},
		"at once, allowed stands for nothing": {zones, "", "", []corev1.TopologySelectorTerm{allow()}, none, none, none, none},
		"at once, no nodes":                   {nil, "", set("0"), nil, noKeys, none, noKeys, none},
		"at once, no driver":                  {[]string{"node n1 zone=a", "csinode n1"}, "", "", nil, noKeys, none, noKeys, none},
		"at once, no labels":                  {[]string{"node n1", "csinode n1 zone"}, "", "", nil, noLabel, none, noLabel, none},
		"at once, some nodes lack the driver": {[]string{"node n1 zone=a", "csinode n1 zone", "node n2 zone=b", "node n3 zone=c", "csinode n3"}, "", set("1"), nil,
			"zone=a zone=b zone=c | zone=a zone=b zone=c", none, "zone=a zone=b zone=c | zone=a zone=b zone=c", none},
		"at once, some nodes lack the label": {[]string{"node n1 zone=a", "csinode n1 zone", "node n2", "csinode n2 zone"}, "", set("1"), nil,
			"zone=a | zone=a", none, "zone=a | zone=a", none},
	} {
		t.Run(name, func(t *testing.T) {
			index := topology.NewIndex()
			change(index, test.nodes...)
			request := topology.Request{ClaimName: test.claim, SelectedNode: test.node, Allowed: test.allowed, Facts: index.Facts(test.node)}
			for _, flags := range []struct {
				strict, immediate bool
				want              string
			}{{true, true, test.both}, {true, false, test.strict}, {false, true, test.immediate}, {false, false, test.neither}} {
				request.Strict, request.Immediate = flags.strict, flags.immediate
				if got := required(request); got != flags.want && !isError(got, flags.want) {
					t.Errorf("strict=%t immediate=%t: got %s, want %s", flags.strict, flags.immediate, got, flags.want)
				}
			}
		})
	}
}

// required writes a requirement as requisite | preferred.
func required(request topology.Request) string {
	got, err := topology.Requirement(request)
	switch {
	case err != nil:
		return "error: " + err.Error()
	case got == nil:
		return "none"
	}
	return strings.Join(places(got.GetRequisite()), " ") + " | " + strings.Join(places(got.GetPreferred()), " ")
}

func isError(got, want string) bool {
	part, isError := strings.CutPrefix(want, "error: ")
	return isError && strings.HasPrefix(got, "error: ") && strings.Contains(got, part)
}
