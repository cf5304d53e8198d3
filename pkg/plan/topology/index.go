package topology

import (
	"slices"
	"strings"
	"sync"
)

// Index knows the places of a cluster. It is kept up to date from the events
// of nodes and CSINodes, so that what it is asked for a claim costs the same on
// five nodes and on five thousand.
//
// Nodes that register the same topology keys form a group. A group counts, for
// each term, the nodes that carry it, whether or not the driver runs there: as
// in external-provisioner, the labels decide.
type Index struct {
	mu     sync.Mutex
	labels map[string]map[string]string // by node
	keys   map[string][]string          // by node, sorted; nil without topology
	groups map[string]*group            // by joined keys
}

type group struct {
	keys []string
	// members counts the nodes that have registered these keys.
	members int
	// nodes counts, by the term's string, the nodes whose labels give the term.
	nodes map[string]*counted
	// set is made when asked for, and dropped when nodes changes.
	set *Set
}

type counted struct {
	term  Term
	count int
}

// NewIndex returns an empty index.
func NewIndex() *Index {
	return &Index{
		labels: map[string]map[string]string{},
		keys:   map[string][]string{},
		groups: map[string]*group{},
	}
}

// Facts are what the index knows when it is asked for one claim.
type Facts struct {
	// NodeKnown tells whether the selected node has a CSINode object.
	NodeKnown bool
	// Keys are the topology keys that count, sorted.
	Keys []string
	// Place is the selected node's own term.
	Place Term
	// MissingLabel is the first of Keys for which the selected node has no
	// label; Place is nil then.
	MissingLabel string
	// Cluster are the places of all nodes that carry Keys.
	Cluster *Set
}

// Facts returns what is known of the cluster as seen from the selected node or,
// when it is empty, from the keys that most nodes have registered.
func (i *Index) Facts(selectedNode string) Facts {
	i.mu.Lock()
	defer i.mu.Unlock()
	if selectedNode == "" {
		if g := i.largest(); g != nil {
			return Facts{Keys: g.keys, Cluster: g.cluster()}
		}
		return Facts{}
	}
	keys, known := i.keys[selectedNode]
	facts := Facts{NodeKnown: known, Keys: keys}
	if len(keys) > 0 {
		facts.Place, facts.MissingLabel = FromLabels(i.labels[selectedNode], keys)
		facts.Cluster = i.groups[joined(keys)].cluster()
	}
	return facts
}

// largest returns the group with the most members; of equals, the first by its
// keys.
func (i *Index) largest() *group {
	var best *group
	for _, g := range i.groups {
		if best == nil || g.members > best.members ||
			g.members == best.members && joined(g.keys) < joined(best.keys) {
			best = g
		}
	}
	return best
}

// Change says which answers of [Index.Facts] a change of the cluster may have
// changed. Most updates of nodes are none but signs of life, and a node that joins
// those of a place that is known changes its own answer only.
type Change struct {
	// Node is that for the node itself.
	Node bool
	// Places are those for all others, and for no node.
	Places bool
}

// SetNode notes the labels of a node.
func (i *Index) SetNode(name string, labels map[string]string) Change {
	i.mu.Lock()
	defer i.mu.Unlock()
	change := i.relabel(name, labels)
	i.labels[name] = labels
	return change
}

// DeleteNode notes that a node is gone.
func (i *Index) DeleteNode(name string) Change {
	i.mu.Lock()
	defer i.mu.Unlock()
	change := i.relabel(name, nil)
	delete(i.labels, name)
	return change
}

func (i *Index) relabel(node string, labels map[string]string) Change {
	before := i.labels[node]
	change := Change{Node: !sameLabels(before, labels, i.keys[node])}
	for _, g := range i.groups {
		if g.move(before, labels) {
			change.Places = true
		}
	}
	return change
}

// sameLabels tells whether two sets of labels are the same as far as the keys go.
func sameLabels(a, b map[string]string, keys []string) bool {
	for _, key := range keys {
		inA, hasA := a[key]
		inB, hasB := b[key]
		if inA != inB || hasA != hasB {
			return false
		}
	}
	return true
}

// SetRegistration notes the topology keys that the driver has registered on a
// node (its entry in the CSINode object); none when it has no entry.
func (i *Index) SetRegistration(node string, keys []string) Change {
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	i.mu.Lock()
	defer i.mu.Unlock()
	if before, known := i.keys[node]; known && slices.Equal(before, keys) {
		return Change{}
	}
	before := i.largestKeys()
	i.leave(node)
	i.keys[node] = keys
	i.join(keys)
	return Change{Node: true, Places: before != i.largestKeys()}
}

// DeleteRegistration notes that the CSINode object of a node is gone.
func (i *Index) DeleteRegistration(node string) Change {
	i.mu.Lock()
	defer i.mu.Unlock()
	_, known := i.keys[node]
	before := i.largestKeys()
	i.leave(node)
	delete(i.keys, node)
	return Change{Node: known, Places: before != i.largestKeys()}
}

// largestKeys are those of [Index.largest], joined; empty without a group.
func (i *Index) largestKeys() string {
	if g := i.largest(); g != nil {
		return joined(g.keys)
	}
	return ""
}

func (i *Index) join(keys []string) {
	if len(keys) == 0 {
		return
	}
	g, ok := i.groups[joined(keys)]
	if !ok {
		g = &group{keys: keys, nodes: map[string]*counted{}}
		for _, labels := range i.labels {
			g.move(nil, labels)
		}
		i.groups[joined(keys)] = g
	}
	g.members++
}

func (i *Index) leave(node string) {
	keys := i.keys[node]
	if len(keys) == 0 {
		return
	}
	g := i.groups[joined(keys)]
	g.members--
	if g.members == 0 {
		delete(i.groups, joined(keys))
	}
}

// move counts a node whose labels change, and tells whether the group's places do;
// nil labels stand for no node.
func (g *group) move(from, to map[string]string) (changed bool) {
	before, after := g.term(from), g.term(to)
	if before.Compare(after) == 0 {
		return false
	}
	if len(before) > 0 {
		entry := g.nodes[before.String()]
		entry.count--
		if entry.count == 0 {
			delete(g.nodes, before.String())
			g.set, changed = nil, true
		}
	}
	if len(after) > 0 {
		entry, ok := g.nodes[after.String()]
		if !ok {
			entry = &counted{term: after}
			g.nodes[after.String()] = entry
			g.set, changed = nil, true
		}
		entry.count++
	}
	return changed
}

func (g *group) term(labels map[string]string) Term {
	term, _ := FromLabels(labels, g.keys)
	return term
}

func (g *group) cluster() *Set {
	if g.set == nil {
		terms := make([]Term, 0, len(g.nodes))
		for _, entry := range g.nodes {
			terms = append(terms, entry.term)
		}
		g.set = NewSet(terms)
	}
	return g.set
}

// joined is a group's key. Topology keys are label keys, which have no comma.
func joined(keys []string) string { return strings.Join(keys, ",") }
