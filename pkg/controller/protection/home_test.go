package protection

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// TestReleaseOfOtherNodes: in node deployment, the sidecar of the node that has a
// source ends its protection, not each of them.
func TestReleaseOfOtherNodes(t *testing.T) {
	const managedBy = "snapshot.storage.kubernetes.io/managed-by"
	for name, test := range map[string]struct {
		home        *topology.Home
		zone, label string
		want        int
	}{
		"here":                    {&topology.Home{Node: "n1", Place: topology.NewTerm(map[string]string{"zone": "a"})}, "a", "n1", 2},
		"elsewhere":               {&topology.Home{Node: "n2", Place: topology.NewTerm(map[string]string{"zone": "b"})}, "a", "n1", 0},
		"snapshots of nobody":     {&topology.Home{Node: "n2", Place: topology.NewTerm(map[string]string{"zone": "b"})}, "a", "", 1},
		"outside node deployment": {nil, "a", "n1", 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.c.deps.Home = test.home
			w.content.Labels = map[string]string{managedBy: test.label}
			volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}}
			volume.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: driverName}
			volume.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{test.zone}}},
			}}}}
			if err := w.volumes.Update(volume); err != nil {
				t.Fatal(err)
			}
			for _, key := range []source.Key{snapshotKey(), claimKey()} {
				if _, err := w.c.Reconcile(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
			if len(w.released) != test.want {
				t.Errorf("released are %q, want %d", w.released, test.want)
			}
		})
	}
}
