package topology

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// Home is the node for which a process works in node deployment, where each node
// has a driver and a sidecar of its own. A nil Home is that of a process that
// works for all nodes.
type Home struct {
	// Node is the node's name.
	Node string
	// Place is where the driver says that the node is (CSI spec, NodeGetInfo);
	// empty for a driver without topology.
	Place Term
}

// Reaches tells whether a volume with that affinity can be used at home. That is
// decided by the driver's topology rather than by the labels of the node, which
// are not read. Without a topology, or an affinity, each node can. Terms are matched
// as the scheduler matches them. Unlike external-provisioner, it knows the field
// metadata.name. A term that is not valid does not match.
func (h *Home) Reaches(affinity *corev1.VolumeNodeAffinity) bool {
	if h == nil || len(h.Place) == 0 || affinity == nil || affinity.Required == nil {
		return true
	}
	matches, err := nodeaffinity.NewLazyErrorNodeSelector(affinity.Required).Match(h.node())
	return err == nil && matches
}

// node is the own node as the driver's topology describes it.
func (h *Home) node() *corev1.Node {
	labels := make(map[string]string, len(h.Place))
	for _, segment := range h.Place {
		labels[segment.Key] = segment.Value
	}
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: h.Node, Labels: labels}}
}
