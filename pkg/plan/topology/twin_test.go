package topology_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// twin knows what Index must know, but remembers only the objects, and works
// everything out when it is asked.
type twin struct {
	labels map[string]map[string]string
	keys   map[string][]string
}

func newTwin() twin { return twin{map[string]map[string]string{}, map[string][]string{}} }

// facts are those of topology.Facts, as shown writes them.
func (w twin) facts(selected string) string {
	keys, known := w.keys[selected]
	if selected == "" {
		keys = w.mostCommon()
	}
	place, missing := w.place(selected, keys)
	if selected == "" {
		place, missing = "", ""
	}
	return fmt.Sprintf("known=%t keys=%s place=%s missing=%s cluster=%s",
		known, strings.Join(keys, ","), place, missing, strings.Join(w.cluster(keys), " "))
}

func (w twin) place(node string, keys []string) (place, missing string) {
	var parts []string
	for _, key := range keys {
		value, ok := w.labels[node][key]
		if !ok {
			return "", key
		}
		parts = append(parts, key+"="+value)
	}
	return strings.Join(parts, ","), ""
}

// cluster needs no better order than that of strings, as the values in the test
// are single letters.
func (w twin) cluster(keys []string) []string {
	found := map[string]bool{}
	for node := range w.labels {
		if place, _ := w.place(node, keys); place != "" {
			found[place] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func (w twin) mostCommon() []string {
	votes := map[string]int{}
	for _, keys := range w.keys {
		if len(keys) > 0 {
			votes[strings.Join(keys, ",")]++
		}
	}
	best := ""
	for _, candidate := range slices.Sorted(maps.Keys(votes)) {
		if votes[candidate] > votes[best] {
			best = candidate
		}
	}
	if best == "" {
		return nil
	}
	return strings.Split(best, ",")
}

// FuzzIndex does the same steps with an index and with its twin. A step is three
// bytes: the operation, the node, and the labels or keys that it is given.
func FuzzIndex(f *testing.F) {
	for seed := range uint64(30) {
		source := rand.New(rand.NewPCG(seed, 0))
		steps := make([]byte, 3*200)
		for i := range steps {
			steps[i] = byte(source.Uint32())
		}
		f.Add(steps)
	}
	const nodes = 5
	keys := []string{"host", "rack", "zone"}
	f.Fuzz(func(t *testing.T, steps []byte) {
		index, naive := topology.NewIndex(), newTwin()
		for ; len(steps) >= 3; steps = steps[3:] {
			node, choice := fmt.Sprintf("n%d", steps[1]%nodes), steps[2]
			before, told := answers(index, nodes), topology.Change{}
			switch steps[0] % 6 {
			case 0:
				told = index.DeleteNode(node)
				delete(naive.labels, node)
			case 1:
				told = index.DeleteRegistration(node)
				delete(naive.keys, node)
			case 2, 3:
				registered := []string{}
				for i, key := range keys {
					if choice&(1<<i) != 0 {
						registered = append(registered, key)
					}
				}
				naive.keys[node] = registered
				told = index.SetRegistration(node, registered)
			default:
				labels := map[string]string{}
				for i, key := range keys {
					if value := choice >> (2 * i) & 3; value > 0 {
						labels[key] = string('a' + rune(value))
					}
				}
				naive.labels[node] = labels
				told = index.SetNode(node, labels)
			}
			checkTwin(t, index, naive, nodes)
			checkTold(t, before, answers(index, nodes), node, told)
		}
	})
}

// answers are what the index says of each selected node, and of none.
func answers(index *topology.Index, nodes int) map[string]string {
	all := map[string]string{"": shown(index.Facts(""))}
	for i := range nodes {
		node := fmt.Sprintf("n%d", i)
		all[node] = shown(index.Facts(node))
	}
	return all
}

// checkTold checks that no answer changes untold.
func checkTold(t *testing.T, before, after map[string]string, node string, told topology.Change) {
	t.Helper()
	for selected, was := range before {
		if known := told.Places || told.Node && selected == node; after[selected] != was && !known {
			t.Fatalf("after a change of node %s, told as %+v, the facts for %q are\n%s, and were\n%s", node, told, selected, after[selected], was)
		}
	}
}

func checkTwin(t *testing.T, index *topology.Index, naive twin, nodes int) {
	t.Helper()
	selections := []string{""}
	for i := range nodes {
		selections = append(selections, fmt.Sprintf("n%d", i))
	}
	for _, selected := range selections {
		if got, want := shown(index.Facts(selected)), naive.facts(selected); got != want {
			t.Fatalf("facts for %q are\n%s, want\n%s\nnodes %v\nCSINodes %v", selected, got, want, naive.labels, naive.keys)
		}
	}
}

// BenchmarkFacts asks an index for what one claim needs: the time and the memory
// must be the same for any number of nodes.
func BenchmarkFacts(b *testing.B) {
	for _, nodes := range []int{5, 500, 5000} {
		for _, key := range []string{"zone", "host"} {
			index := topology.NewIndex()
			for i := range nodes {
				node := fmt.Sprintf("n%04d", i)
				index.SetNode(node, map[string]string{"zone": string('a' + rune(i%3)), "host": node})
				index.SetRegistration(node, []string{key})
			}
			for _, selected := range []string{"", fmt.Sprintf("n%04d", nodes/2)} {
				b.Run(fmt.Sprintf("key=%s/late=%t/nodes=%d", key, selected != "", nodes), func(b *testing.B) {
					b.ReportAllocs()
					index.Facts(selected) // The first after a change puts the places in order.
					for b.Loop() {
						index.Facts(selected)
					}
				})
			}
		}
	}
}
