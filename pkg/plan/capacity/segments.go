package capacity

import (
	"slices"
	"sync"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// Segments are the places of the driver's volumes, each of them once, however
// many nodes are there. A node counts when it exists, the driver is registered on
// it (its CSINode object has an entry for the driver), and it has labels for all
// topology keys of the entry. Without keys its segment is the empty one, the
// whole cluster: that is the case for drivers without topology.
//
// That is narrower than topology.Index, which asks for the labels alone: nobody
// needs to know the capacity at nodes where the driver can't be used.
//
// An event of a node costs the same in each cluster. The setters return the
// segments that have appeared or gone; [Segments.Has] tells which.
type Segments struct {
	mu    sync.Mutex
	nodes map[string]*node
	// places count the nodes of each segment, by the segment's string.
	places map[string]*place
}

type node struct {
	exists bool
	labels map[string]string
	// registered tells whether the driver has an entry in the CSINode object, with
	// these keys.
	registered bool
	keys       []string
}

type place struct {
	term  topology.Term
	nodes int
}

// NewSegments returns the segments of a cluster without nodes.
func NewSegments() *Segments {
	return &Segments{nodes: map[string]*node{}, places: map[string]*place{}}
}

// FixedSegments returns just one segment, which does not go: that of the only
// node, where the driver and this program run on each node for itself.
func FixedSegments(segment topology.Term) *Segments {
	s := NewSegments()
	s.places[segment.String()] = &place{term: segment, nodes: 1}
	return s
}

// SetNode notes the labels of a node.
func (s *Segments) SetNode(name string, labels map[string]string) (changed []string) {
	return s.update(name, func(n *node) { n.exists, n.labels = true, labels })
}

// DeleteNode notes that a node is gone.
func (s *Segments) DeleteNode(name string) (changed []string) {
	return s.update(name, func(n *node) { n.exists, n.labels = false, nil })
}

// SetRegistration notes that the driver is registered on a node with these
// topology keys, or that it is not.
func (s *Segments) SetRegistration(name string, keys []string, registered bool) (changed []string) {
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	return s.update(name, func(n *node) { n.registered, n.keys = registered, keys })
}

// DeleteRegistration notes that the CSINode object of a node is gone.
func (s *Segments) DeleteRegistration(name string) (changed []string) {
	return s.SetRegistration(name, nil, false)
}

func (s *Segments) update(name string, change func(*node)) (changed []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.nodes[name]
	if !ok {
		n = &node{}
		s.nodes[name] = n
	}
	before, was := n.segment()
	change(n)
	after, is := n.segment()
	if !n.exists && !n.registered {
		delete(s.nodes, name)
	}
	if was == is && before.Compare(after) == 0 {
		return nil
	}
	if was && s.leave(before) {
		changed = append(changed, before.String())
	}
	if is && s.enter(after) {
		changed = append(changed, after.String())
	}
	return changed
}

// segment returns where a node is; false when it does not count.
func (n *node) segment() (topology.Term, bool) {
	if !n.exists || !n.registered {
		return nil, false
	}
	term, missing := topology.FromLabels(n.labels, n.keys)
	return term, missing == ""
}

func (s *Segments) enter(segment topology.Term) (appeared bool) {
	p, ok := s.places[segment.String()]
	if !ok {
		p = &place{term: segment}
		s.places[segment.String()] = p
	}
	p.nodes++
	return !ok
}

func (s *Segments) leave(segment topology.Term) (gone bool) {
	p := s.places[segment.String()]
	p.nodes--
	if p.nodes > 0 {
		return false
	}
	delete(s.places, segment.String())
	return true
}

// Get returns the segment with that string; false when there is none.
func (s *Segments) Get(segment string) (topology.Term, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.places[segment]
	if !ok {
		return nil, false
	}
	return p.term, true
}

// Has tells whether there is a segment with that string.
func (s *Segments) Has(segment string) bool {
	_, ok := s.Get(segment)
	return ok
}

// Len is the number of segments.
func (s *Segments) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.places)
}

// All returns the strings of all segments, in no order.
func (s *Segments) All() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]string, 0, len(s.places))
	for segment := range s.places {
		all = append(all, segment)
	}
	return all
}
