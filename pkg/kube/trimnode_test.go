package kube

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

func homeNode() *topology.Home {
	return &topology.Home{Node: "n1", Place: topology.NewTerm(map[string]string{"zone": "a"})}
}

func TestTrimClaimsOfOtherNodes(t *testing.T) {
	on := func(node string) map[string]string {
		return map[string]string{names.SelectedNode: node, names.StorageProvisioner: driverName, "note": "x"}
	}
	trimmed := claim(identified())
	trimmed.DeletionTimestamp, trimmed.Finalizers = described(nil).DeletionTimestamp, []string{"keep"}
	trimmed.Annotations = map[string]string{names.SelectedNode: "n2", names.StorageProvisioner: driverName}
	for name, test := range map[string]struct {
		annotations map[string]string
		want        *corev1.PersistentVolumeClaim
	}{
		"of this node":    {on("n1"), claim(described(on("n1")))},
		"of another node": {on("n2"), trimmed},
		"of no node":      {map[string]string{"note": "x"}, claim(described(map[string]string{"note": "x"}))},
	} {
		check(t, name, trimClaimsOf(homeNode()), claim(described(test.annotations)), test.want)
	}
}

func TestTrimVolumesOfOtherNodes(t *testing.T) {
	annotations := map[string]string{names.ProvisionedBy: driverName, "note": "x"}
	in := func(v *corev1.PersistentVolume, zone string) *corev1.PersistentVolume {
		v.Spec.ClaimRef = &corev1.ObjectReference{Name: "claim", UID: "1"}
		if zone != "" {
			v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}},
			}}}}
		}
		return v
	}
	large := func(zone string) *corev1.PersistentVolume {
		v := in(volume(described(annotations), driverName), zone)
		v.Spec.CSI.VolumeAttributes = map[string]string{"a": "b"}
		return v
	}
	small := in(volume(identified(), driverName), "b")
	small.DeletionTimestamp = described(nil).DeletionTimestamp
	small.Annotations = map[string]string{names.ProvisionedBy: driverName}
	small.Spec.StorageClassName = ""
	for name, test := range map[string]struct {
		zone string
		want *corev1.PersistentVolume
	}{
		"here": {"a", large("a")}, "everywhere": {"", large("")}, "elsewhere": {"b", small},
	} {
		check(t, name, trimVolumesOf(homeNode()), large(test.zone), test.want)
	}
}

func TestTrimNodePassesWhatItDoesNotKnow(t *testing.T) {
	unknown := cache.DeletedFinalStateUnknown{Key: "ns/name"}
	check(t, "claim", both(trimClaim(driverName), trimClaimsOf(homeNode())), unknown, unknown)
	check(t, "volume", both(trimVolume(driverName, NewInTree(driverName)), trimVolumesOf(homeNode())), unknown, unknown)
	// Of another driver's there is nothing left to be trimmed.
	check(t, "another's", both(trimVolume(driverName, NewInTree(driverName)), trimVolumesOf(homeNode())),
		volume(described(nil), "other.example"), &corev1.PersistentVolume{ObjectMeta: identified()})
}
