package provision_test

import (
	"fmt"
	"testing"

	storagev1 "k8s.io/api/storage/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// planning returns what planning one claim does in a cluster of that many nodes, in
// three zones or with a topology of their own, for a claim of a class with WaitForFirstConsumer or at
// once.
func planning(nodes int, key string, late bool) func() {
	index := topology.NewIndex()
	for i := range nodes {
		node := fmt.Sprintf("n%04d", i)
		index.SetNode(node, map[string]string{"zone": string('a' + rune(i%3)), "host": node})
		index.SetRegistration(node, []string{key})
	}
	in := wanting()
	in.Driver.Capabilities.Topology, in.Options.Topology, in.Options.ImmediateTopology = true, true, true
	if late {
		mode := storagev1.VolumeBindingWaitForFirstConsumer
		in.Class.VolumeBindingMode = &mode
		in.Claim.Annotations[selectedNode] = fmt.Sprintf("n%04d", nodes/2)
	}
	plan := func() {
		in.Facts = index.Facts(provision.SelectedNode(in.Claim))
		if d := provision.Decide(in); d.Verdict != provision.Act || d.Plan.Request.GetAccessibilityRequirements() == nil {
			panic(fmt.Sprintf("decided otherwise: %v", d.Err))
		}
	}
	plan() // The first after a change puts the places in order.
	return plan
}

// BenchmarkDecide plans claims: the time and the memory must be the same for any
// number of nodes. (What is then sent is as long as the list of places, which is that
// of the nodes for a driver whose volumes stay on their node.)
func BenchmarkDecide(b *testing.B) {
	for _, key := range []string{"zone", "host"} {
		for _, late := range []bool{false, true} {
			for _, nodes := range []int{5, 5000} {
				b.Run(fmt.Sprintf("key=%s/late=%t/nodes=%d", key, late, nodes), func(b *testing.B) {
					plan := planning(nodes, key, late)
					b.ReportAllocs()
					for b.Loop() {
						plan()
					}
				})
			}
		}
	}
}

// TestCostDoesNotGrowWithTheCluster counts what [BenchmarkDecide] measures, as far as
// it can be counted.
func TestCostDoesNotGrowWithTheCluster(t *testing.T) {
	for _, key := range []string{"zone", "host"} {
		for _, late := range []bool{false, true} {
			small := testing.AllocsPerRun(100, planning(5, key, late))
			large := testing.AllocsPerRun(100, planning(5000, key, late))
			if small != large || small == 0 {
				t.Errorf("key=%s late=%t: %v allocations with 5 nodes, %v with 5000", key, late, small, large)
			}
		}
	}
}
