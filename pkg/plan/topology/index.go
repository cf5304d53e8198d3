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

// SetNode notes the labels of a node. It tells, as do the other setters, whether
// that can change the answer to anything: most updates of nodes are none but
// signs of life.
func (i *Index) SetNode(name string, labels map[string]string) (changed bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	changed = i.relabel(name, labels)
	i.labels[name] = labels
	return changed
}

// DeleteNode notes that a node is gone.
func (i *Index) DeleteNode(name string) (changed bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	changed = i.relabel(name, nil)
	delete(i.labels, name)
	return changed
}

func (i *Index) relabel(node string, labels map[string]string) (changed bool) {
	for _, g := range i.groups {
		if g.move(i.labels[node], labels) {
			changed = true
		}
	}
	return changed
}

// SetRegistration notes the topology keys that the driver has registered on a
// node (its entry in the CSINode object); none when it has no entry.
func (i *Index) SetRegistration(node string, keys []string) (changed bool) {
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	i.mu.Lock()
	defer i.mu.Unlock()
	if before, known := i.keys[node]; known && slices.Equal(before, keys) {
		return false
	}
	i.leave(node)
	i.keys[node] = keys
	i.join(keys)
	return true
}

// DeleteRegistration notes that the CSINode object of a node is gone.
func (i *Index) DeleteRegistration(node string) (changed bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	_, known := i.keys[node]
	i.leave(node)
	delete(i.keys, node)
	return known
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

// move counts a node whose labels change, and tells whether its term does; nil
// labels stand for no node.
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
			g.set = nil
		}
	}
	if len(after) > 0 {
		entry, ok := g.nodes[after.String()]
		if !ok {
			entry = &counted{term: after}
			g.nodes[after.String()] = entry
			g.set = nil
		}
		entry.count++
	}
	return true
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
