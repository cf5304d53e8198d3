package topology

import (
	"slices"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
)

// Set is a sorted list of different terms. It is made once and shared by many
// requests, so neither it nor the messages it hands out may be changed.
type Set struct {
	terms []Term
	// messages holds those of all terms twice over, so that each rotation of
	// the list is a slice of it.
	messages []*csipb.Topology
}

// NewSet returns the set of the terms; empty terms, which say nothing, are left
// out. The argument is not kept.
func NewSet(terms []Term) *Set {
	sorted := slices.DeleteFunc(slices.Clone(terms), func(t Term) bool { return len(t) == 0 })
	slices.SortFunc(sorted, Term.Compare)
	sorted = slices.CompactFunc(sorted, func(a, b Term) bool { return a.Compare(b) == 0 })

	messages := make([]*csipb.Topology, 0, 2*len(sorted))
	for _, term := range sorted {
		messages = append(messages, term.CSI())
	}
	return &Set{terms: sorted, messages: append(messages, messages...)}
}

// Len is the number of terms; that of a nil set is 0.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.terms)
}

// Terms returns the terms in order.
func (s *Set) Terms() []Term {
	if s == nil {
		return nil
	}
	return s.terms
}

// Requirement returns the requirement whose requisite list is the set, and
// whose preferred list is the same, beginning with the term at index first. It
// is nil for an empty set.
func (s *Set) Requirement(first int) *csipb.TopologyRequirement {
	n := s.Len()
	if n == 0 {
		return nil
	}
	return &csipb.TopologyRequirement{
		Requisite: s.messages[:n:n],
		Preferred: s.messages[first : first+n : first+n],
	}
}

// firstWithin returns the index of the first term that is a subset of place,
// or -1.
func (s *Set) firstWithin(place Term) int {
	terms := s.Terms()
	// The places of a cluster have all the same keys, and there may be thousands.
	if len(terms) > 0 && len(terms[0]) == len(place) {
		if at, found := slices.BinarySearchFunc(terms, place, Term.Compare); found {
			return at
		}
		return -1
	}
	return slices.IndexFunc(terms, func(t Term) bool { return t.SubsetOf(place) })
}
