package topology

import (
	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
)

// NodeAffinity returns where a volume with the accessible topology of a
// CreateVolumeResponse can be used: nodes that match any of the topologies, or
// nil for everywhere. A topology without segments is everywhere, too; the API
// server would refuse a term without expressions.
func NodeAffinity(accessible []*csipb.Topology) *corev1.VolumeNodeAffinity {
	var terms []corev1.NodeSelectorTerm
	for _, t := range accessible {
		if len(t.GetSegments()) == 0 {
			return nil
		}
		var expressions []corev1.NodeSelectorRequirement
		for _, segment := range NewTerm(t.GetSegments()) {
			expressions = append(expressions, corev1.NodeSelectorRequirement{
				Key:      segment.Key,
				Operator: corev1.NodeSelectorOpIn,
				Values:   []string{segment.Value},
			})
		}
		terms = append(terms, corev1.NodeSelectorTerm{MatchExpressions: expressions})
	}
	if len(terms) == 0 {
		return nil
	}
	return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: terms}}
}
