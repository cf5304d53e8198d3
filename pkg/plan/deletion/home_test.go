package deletion_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/deletion"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// TestVolumesOfOtherNodes: in node deployment, those of other nodes are not touched,
// whatever is to be done about them; elsewhere the node does not matter.
func TestVolumesOfOtherNodes(t *testing.T) {
	inZone := func(in *deletion.Input, zone string) {
		in.Volume.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}},
		}}}}
	}
	bound := func(in *deletion.Input) { in.Volume.Status.Phase, in.Volume.Finalizers = corev1.VolumeBound, nil }
	retained := func(in *deletion.Input) {
		in.Volume.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
	}
	for name, test := range map[string]struct {
		zone   string
		change func(*deletion.Input)
		want   deletion.Verdict
	}{
		"due, here":                 {"a", nil, deletion.Act},
		"due, elsewhere":            {"b", nil, deletion.Skip},
		"due, anywhere":             {"", nil, deletion.Act},
		"without finalizer, here":   {"a", bound, deletion.AddFinalizer},
		"without finalizer":         {"b", bound, deletion.Skip},
		"a finalizer too many here": {"a", retained, deletion.RemoveFinalizer},
		"a finalizer too many":      {"b", retained, deletion.Skip},
	} {
		t.Run(name, func(t *testing.T) {
			of := func(home *topology.Home) deletion.Decision {
				return decide(t, func(in *deletion.Input) {
					in.Home = home
					if test.zone != "" {
						inZone(in, test.zone)
					}
					if test.change != nil {
						test.change(in)
					}
				})
			}
			checkVerdict(t, of(&topology.Home{Node: "n1", Place: topology.NewTerm(map[string]string{"zone": "a"})}), test.want)
			if got := of(nil); got.Verdict == deletion.Skip {
				t.Error("who works for all nodes skips it")
			}
		})
	}
}
