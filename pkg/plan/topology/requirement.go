package topology

import (
	"fmt"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
)

// Request says what the requirement of one claim depends on.
type Request struct {
	// ClaimName is hashed to spread immediately bound claims.
	ClaimName string
	// SelectedNode is the scheduler's choice; empty for immediate binding.
	SelectedNode string
	// Allowed are the class's allowedTopologies.
	Allowed []corev1.TopologySelectorTerm
	// Strict asks, with a selected node, for that node's place alone.
	Strict bool
	// Immediate asks, without a selected node, for all places of the cluster;
	// otherwise there is no requirement.
	Immediate bool
	// Facts are what the index knows of the selected node, or of the cluster.
	Facts Facts
}

// NodeGoneError says that the selected node, as far as the driver is
// concerned, does not exist (any more); another one must be selected.
type NodeGoneError struct{ Node string }

func (e *NodeGoneError) Error() string {
	return fmt.Sprintf("selected node %.253q has no CSINode object: the node was removed, or its kubelet has not registered yet", e.Node)
}

// Requirement returns the accessibility requirement of a claim, or nil when
// there is none. The rules are those of external-provisioner:
//
//	selected node  strict  allowed  requisite            preferred
//	yes            yes     any      the node's place     the same
//	yes            no      none     all places           the node's first
//	yes            no      some     the allowed ones     the node's first
//	no             any     some     the allowed ones     spread by name
//	no             any     none     all places, or nil   spread by name
func Requirement(r Request) (*csipb.TopologyRequirement, error) {
	if r.SelectedNode != "" {
		return delayed(r)
	}
	return immediate(r)
}

func delayed(r Request) (*csipb.TopologyRequirement, error) {
	if err := r.Facts.usable(r.SelectedNode); err != nil {
		return nil, err
	}
	place := r.Facts.Place
	allowed := Flatten(r.Allowed)
	if r.Strict {
		if len(r.Allowed) > 0 && allowed.firstWithin(place) < 0 {
			return nil, fmt.Errorf("selected node %q is in topology %q, which the class's allowedTopologies (%s) exclude", r.SelectedNode, place, describe(allowed))
		}
		return NewSet([]Term{place}).Requirement(0), nil
	}
	requisite := r.Facts.Cluster
	if len(r.Allowed) > 0 {
		requisite = allowed
	}
	if requisite.Len() == 0 {
		return nil, nil
	}
	first := requisite.firstWithin(place)
	if first < 0 {
		return nil, fmt.Errorf("selected node %q is in topology %q, which is not among those where the volume may be (%s)", r.SelectedNode, place, describe(requisite))
	}
	return requisite.Requirement(first), nil
}

func immediate(r Request) (*csipb.TopologyRequirement, error) {
	requisite := r.Facts.Cluster
	switch {
	case len(r.Allowed) > 0:
		requisite = Flatten(r.Allowed)
		if requisite.Len() == 0 {
			return nil, nil
		}
	case !r.Immediate:
		return nil, nil
	case len(r.Facts.Keys) == 0:
		return nil, fmt.Errorf("no node carries topology keys of the driver: is its node service running and registered (see the CSINode objects)?")
	case requisite.Len() == 0:
		return nil, fmt.Errorf("no node has labels for the driver's topology keys %q", r.Facts.Keys)
	}
	return requisite.Requirement(spread(r.ClaimName, requisite.Len())), nil
}

func (f Facts) usable(node string) error {
	switch {
	case !f.NodeKnown:
		return &NodeGoneError{Node: node}
	case len(f.Keys) == 0:
		return fmt.Errorf("selected node %q has no topology keys of the driver in its CSINode object: is the driver's node service running there?", node)
	case f.MissingLabel != "":
		return fmt.Errorf("selected node %q has no label %q, which the driver's CSINode entry lists as a topology key", node, f.MissingLabel)
	}
	return nil
}

// maxDescribed bounds the number of terms that a message shows.
const maxDescribed = 5

func describe(s *Set) string {
	if s.Len() == 0 {
		return "none"
	}
	text := ""
	for i, term := range s.Terms() {
		if i == maxDescribed {
			return fmt.Sprintf("%s and %d more", text, s.Len()-i)
		}
		if i > 0 {
			text += "; "
		}
		text += term.String()
	}
	return text
}
