package topology

import (
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
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
// are not read; without a topology, or an affinity, each node can. The rules are
// those of external-provisioner, which does not know the field metadata.name.
func (h *Home) Reaches(affinity *corev1.VolumeNodeAffinity) bool {
	if h == nil || len(h.Place) == 0 || affinity == nil || affinity.Required == nil {
		return true
	}
	return slices.ContainsFunc(affinity.Required.NodeSelectorTerms, h.within)
}

// within tells whether home is in a term of a node selector. A term that asks for
// nothing selects nothing, as in the scheduler.
func (h *Home) within(term corev1.NodeSelectorTerm) bool {
	if len(term.MatchExpressions)+len(term.MatchFields) == 0 {
		return false
	}
	for _, expression := range term.MatchExpressions {
		value, ok := h.Place.value(expression.Key)
		if !holds(expression, value, ok) {
			return false
		}
	}
	for _, field := range term.MatchFields {
		if field.Key != "metadata.name" || !holds(field, h.Node, true) {
			return false
		}
	}
	return true
}

func (t Term) value(key string) (value string, ok bool) {
	i := slices.IndexFunc(t, func(s Segment) bool { return s.Key == key })
	if i < 0 {
		return "", false
	}
	return t[i].Value, true
}

// holds tells whether a requirement holds for a label; has is false where there is
// none of that key.
func holds(r corev1.NodeSelectorRequirement, value string, has bool) bool {
	switch r.Operator {
	case corev1.NodeSelectorOpIn:
		return has && slices.Contains(r.Values, value)
	case corev1.NodeSelectorOpNotIn:
		return !has || !slices.Contains(r.Values, value)
	case corev1.NodeSelectorOpExists:
		return has
	case corev1.NodeSelectorOpDoesNotExist:
		return !has
	case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
		return has && len(r.Values) == 1 && compares(r.Operator, value, r.Values[0])
	}
	return false
}

func compares(operator corev1.NodeSelectorOperator, value, bound string) bool {
	left, err := strconv.ParseInt(value, 10, 64)
	right, errBound := strconv.ParseInt(bound, 10, 64)
	if err != nil || errBound != nil {
		return false
	}
	if operator == corev1.NodeSelectorOpGt {
		return left > right
	}
	return left < right
}
