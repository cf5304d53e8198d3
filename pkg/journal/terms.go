package journal

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
)

// table holds the topology terms of one batch, each once. Many requests name
// all the places of the cluster.
type table struct {
	terms []*csipb.Topology
	// index finds a term by what it says, shared by the object, and runs a list
	// by its place in memory: requests share both.
	index  map[string]int
	shared map[*csipb.Topology]int
	runs   map[list][]run
	// raw is about the size in bytes of all terms before they are compressed, and values
	// the number of JSON values in them; packed is what became of the first packedTerms of them.
	raw, values int
	packed      []byte
	packedTerms int
	packer      *packer
}

// termOverhead is what the JSON of a term with a few batches has beyond their
// text, in bytes.
const termOverhead = 32

// list tells slices apart without looking at all that is in them.
type list struct {
	first **csipb.Topology
	n     int
}

// run is the consecutive terms from Start.
type run struct {
	Start, Count int
}

// requirementEntry is a TopologyRequirement.
type requirementEntry struct {
	Requisite []run `json:"requisite,omitempty"`
	Preferred []run `json:"preferred,omitempty"`
}

func newTable(p *packer) *table {
	return &table{packer: p, index: map[string]int{}, shared: map[*csipb.Topology]int{}, runs: map[list][]run{}}
}

// encode adds what is missing, and refers to it.
func (t *table) encode(r *csipb.TopologyRequirement) *requirementEntry {
	return &requirementEntry{Requisite: t.refer(r.GetRequisite()), Preferred: t.refer(r.GetPreferred())}
}

func (t *table) refer(terms []*csipb.Topology) []run {
	if len(terms) == 0 {
		return nil
	}
	key := list{&terms[0], len(terms)}
	if known, ok := t.runs[key]; ok {
		return known
	}
	var runs []run
	for _, term := range terms {
		at := t.find(term)
		if last := len(runs) - 1; last >= 0 && runs[last].Start+runs[last].Count == at {
			runs[last].Count++
			continue
		}
		runs = append(runs, run{at, 1})
	}
	t.runs[key] = runs
	return runs
}

func (t *table) find(term *csipb.Topology) int {
	if at, ok := t.shared[term]; ok {
		return at
	}
	key := text(term)
	at, ok := t.index[key]
	if !ok {
		at = len(t.terms)
		t.terms = append(t.terms, term)
		t.index[key] = at
		t.raw += len(key) + termOverhead
		t.values += valuesOf(term)
	}
	t.shared[term] = at
	return at
}

// text tells terms apart: no name or value of a topology holds a line break.
func text(term *csipb.Topology) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(term.GetSegments())) {
		b.WriteString(key + "\n" + term.GetSegments()[key] + "\n")
	}
	return b.String()
}

// valuesOf is what a term adds to the JSON values of the table.
func valuesOf(term *csipb.Topology) int { return 1 + len(term.GetSegments()) }

// truncate takes the table back to its first n terms.
func (t *table) truncate(n int) {
	for _, term := range t.terms[n:] {
		key := text(term)
		delete(t.index, key)
		t.raw -= len(key) + termOverhead
		t.values -= valuesOf(term)
	}
	t.terms = t.terms[:n]
	clear(t.shared)
	clear(t.runs)
	if t.packedTerms > n {
		t.packed = nil
	}
}

// fits tells whether the table takes at most room bytes. It is compressed only
// when that is not plain without.
func (t *table) fits(room int) (bool, error) {
	if t.values > maxValues {
		return false, nil
	}
	if t.raw <= room {
		return true, nil
	}
	packed, err := t.pack()
	return err == nil && len(packed) <= room, err
}

// pack returns what a batch holds of the table.
func (t *table) pack() ([]byte, error) {
	if t.packed != nil && t.packedTerms == len(t.terms) {
		return t.packed, nil
	}
	all := make([]map[string]string, 0, len(t.terms))
	for _, term := range t.terms {
		all = append(all, term.GetSegments())
	}
	packed, err := t.packer.pack(termsKey, all)
	if err != nil {
		return nil, err
	}
	t.packed, t.packedTerms = packed, len(t.terms)
	return packed, nil
}

func termsOf(content []map[string]string) []*csipb.Topology {
	terms := make([]*csipb.Topology, 0, len(content))
	for _, segments := range content {
		terms = append(terms, &csipb.Topology{Segments: segments})
	}
	return terms
}

// decode is the inverse of encode.
func (e *requirementEntry) decode(terms []*csipb.Topology) (*csipb.TopologyRequirement, error) {
	requisite, err := resolve(e.Requisite, terms)
	if err != nil {
		return nil, err
	}
	preferred, err := resolve(e.Preferred, terms)
	if err != nil {
		return nil, err
	}
	return &csipb.TopologyRequirement{Requisite: requisite, Preferred: preferred}, nil
}

func resolve(runs []run, terms []*csipb.Topology) ([]*csipb.Topology, error) {
	var all []*csipb.Topology
	for _, r := range runs {
		if r.Start < 0 || r.Count < 0 || r.Count > len(terms) || r.Start > len(terms)-r.Count {
			return nil, fmt.Errorf("it refers to topology %d to %d, of %d", r.Start, r.Start+r.Count, len(terms))
		}
		all = append(all, terms[r.Start:r.Start+r.Count]...)
	}
	return all, nil
}
