package topology

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
)

// Segment is one key and value of a topology, such as zone=a.
type Segment struct {
	Key, Value string
}

func compareSegments(a, b Segment) int {
	return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Value, b.Value))
}

// Term is a place: segments sorted by key. A Term is never changed once made.
type Term []Segment

// NewTerm returns the term of the segments in a map.
func NewTerm(segments map[string]string) Term {
	term := make(Term, 0, len(segments))
	for _, key := range slices.Sorted(maps.Keys(segments)) {
		term = append(term, Segment{key, segments[key]})
	}
	return term
}

// FromLabels returns the term that labels give for the keys. When a label is
// missing, it returns its key.
func FromLabels(labels map[string]string, keys []string) (term Term, missing string) {
	term = make(Term, 0, len(keys))
	for _, key := range keys {
		value, ok := labels[key]
		if !ok {
			return nil, key
		}
		term = append(term, Segment{key, value})
	}
	slices.SortFunc(term, compareSegments)
	return term, ""
}

// Compare orders terms: the shorter first, then by key and value.
func (t Term) Compare(other Term) int {
	return cmp.Or(cmp.Compare(len(t), len(other)), slices.CompareFunc(t, other, compareSegments))
}

// SubsetOf tells whether every segment of t is in other.
func (t Term) SubsetOf(other Term) bool {
	for _, segment := range t {
		if !slices.Contains(other, segment) {
			return false
		}
	}
	return true
}

// String is the form zone=a,rack=7, for messages and as a key.
func (t Term) String() string {
	var b strings.Builder
	for i, segment := range t {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(segment.Key)
		b.WriteByte('=')
		b.WriteString(segment.Value)
	}
	return b.String()
}

// CSI returns the message of the term.
func (t Term) CSI() *csipb.Topology {
	segments := make(map[string]string, len(t))
	for _, segment := range t {
		segments[segment.Key] = segment.Value
	}
	return &csipb.Topology{Segments: segments}
}

// Overlap tells whether two lists have a term in common.
func Overlap(a, b []*csipb.Topology) bool {
	known := make(map[string]struct{}, len(a))
	for _, term := range a {
		known[NewTerm(term.GetSegments()).String()] = struct{}{}
	}
	return slices.ContainsFunc(b, func(term *csipb.Topology) bool {
		_, ok := known[NewTerm(term.GetSegments()).String()]
		return ok
	})
}
