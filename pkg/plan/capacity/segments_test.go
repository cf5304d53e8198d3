package capacity_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capacity"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

func all(s *capacity.Segments) string {
	return strings.Join(slices.Sorted(slices.Values(s.All())), " ")
}

// A step of a story: what happens, which segments change, which there are then.
type step struct {
	did     []string
	changed string
	all     string
}

func TestSegments(t *testing.T) {
	labels := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	for name, story := range map[string]func(*capacity.Segments) []step{
		"a node and its registration": func(s *capacity.Segments) []step {
			return []step{
				{s.SetNode("n1", labels("zone", "a")), "", ""},
				{s.SetRegistration("n1", []string{"zone"}, true), "zone=a", "zone=a"},
				{s.SetRegistration("n1", []string{"zone"}, true), "", "zone=a"},
				{s.DeleteNode("n1"), "zone=a", ""},
				{s.SetNode("n1", labels("zone", "b")), "zone=b", "zone=b"},
				{s.DeleteRegistration("n1"), "zone=b", ""},
			}
		},
		"the registration first": func(s *capacity.Segments) []step {
			return []step{
				{s.SetRegistration("n1", []string{"zone"}, true), "", ""},
				{s.SetNode("n1", labels("zone", "a")), "zone=a", "zone=a"},
			}
		},
		"two nodes of one segment count once": func(s *capacity.Segments) []step {
			s.SetNode("n1", labels("zone", "a"))
			s.SetRegistration("n1", []string{"zone"}, true)
			s.SetNode("n2", labels("zone", "a", "other", "x"))
			return []step{
				{s.SetRegistration("n2", []string{"zone"}, true), "", "zone=a"},
				{s.DeleteNode("n1"), "", "zone=a"},
				{s.DeleteNode("n2"), "zone=a", ""},
			}
		},
		"a node moves": func(s *capacity.Segments) []step {
			s.SetNode("n1", labels("zone", "a"))
			s.SetRegistration("n1", []string{"zone"}, true)
			return []step{
				{s.SetNode("n1", labels("zone", "b")), "zone=a zone=b", "zone=b"},
				{s.SetNode("n1", labels("zone", "b", "other", "x")), "", "zone=b"},
				{s.SetNode("n1", labels("other", "x")), "zone=b", ""},
			}
		},
		"a node where the driver is not": func(s *capacity.Segments) []step {
			s.SetNode("n1", labels("zone", "a"))
			return []step{
				{s.SetRegistration("n1", nil, false), "", ""},
				{s.SetRegistration("n1", []string{"zone"}, true), "zone=a", "zone=a"},
				{s.SetRegistration("n1", nil, false), "zone=a", ""},
			}
		},
		"keys": func(s *capacity.Segments) []step {
			s.SetNode("n1", labels("zone", "a", "rack", "7"))
			return []step{
				{s.SetRegistration("n1", []string{"zone", "rack", "zone"}, true), "rack=7,zone=a", "rack=7,zone=a"},
				{s.SetRegistration("n1", []string{"rack", "zone"}, true), "", "rack=7,zone=a"},
				{s.SetRegistration("n1", []string{"zone"}, true), "rack=7,zone=a zone=a", "zone=a"},
				{s.SetRegistration("n1", []string{"zone", "host"}, true), "zone=a", ""},
			}
		},
		"a driver without topology": func(s *capacity.Segments) []step {
			s.SetNode("n1", nil)
			return []step{
				{s.SetRegistration("n1", nil, true), "<all>", "<all>"},
				{s.SetNode("n2", nil), "", "<all>"},
				{s.SetRegistration("n2", nil, true), "", "<all>"},
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := capacity.NewSegments()
			steps := story(s)
			for i, step := range steps {
				changed := strings.Join(slices.Sorted(slices.Values(step.did)), " ")
				if len(step.did) == 1 && changed == "" {
					changed = "<all>"
				}
				if changed != step.changed {
					t.Errorf("step %d has changed %q, want %q", i, changed, step.changed)
				}
			}
			got := all(s)
			if s.Len() == 1 && got == "" {
				got = "<all>"
			}
			if last := steps[len(steps)-1].all; got != last {
				t.Errorf("in the end there is %q, want %q", got, last)
			}
		})
	}
}

func TestFixedSegments(t *testing.T) {
	// The order of a map must not matter to who looks for the segment.
	s := capacity.FixedSegments(topology.NewTerm(map[string]string{"zone": "a", "rack": "7"}))
	if term, ok := s.Get("rack=7,zone=a"); !ok || len(term) != 2 || s.Len() != 1 {
		t.Errorf("the segments are %q", all(s))
	}
}

func TestSegmentsOf(t *testing.T) {
	in := func(key string, values ...string) corev1.NodeSelectorRequirement {
		return corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: values}
	}
	term := func(requirements ...corev1.NodeSelectorRequirement) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: requirements}
	}
	for name, test := range map[string]struct {
		terms []corev1.NodeSelectorTerm
		want  string
	}{
		"one":               {[]corev1.NodeSelectorTerm{term(in("zone", "a"))}, "zone=a"},
		"in any order":      {[]corev1.NodeSelectorTerm{term(in("zone", "a"), in("rack", "7"))}, "rack=7,zone=a"},
		"two":               {[]corev1.NodeSelectorTerm{term(in("zone", "a")), term(in("zone", "b"))}, "zone=a zone=b"},
		"several values":    {[]corev1.NodeSelectorTerm{term(in("zone", "a", "b")), term(in("zone", "c"))}, "zone=c"},
		"other operators":   {[]corev1.NodeSelectorTerm{term(corev1.NodeSelectorRequirement{Key: "zone", Operator: corev1.NodeSelectorOpNotIn, Values: []string{"a"}})}, ""},
		"a key twice":       {[]corev1.NodeSelectorTerm{term(in("zone", "a"), in("zone", "a"))}, ""},
		"by field":          {[]corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{in("metadata.name", "n1")}, MatchExpressions: []corev1.NodeSelectorRequirement{in("zone", "a")}}}, ""},
		"no expression":     {[]corev1.NodeSelectorTerm{{}}, ""},
		"no term, no place": {[]corev1.NodeSelectorTerm{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			volume := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
				NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: test.terms}},
			}}
			segments, everywhere := capacity.SegmentsOf(volume)
			if got := strings.Join(segments, " "); got != test.want || everywhere {
				t.Errorf("SegmentsOf = %q, %t, want %q", got, everywhere, test.want)
			}
		})
	}
	for _, volume := range []*corev1.PersistentVolume{{}, {Spec: corev1.PersistentVolumeSpec{NodeAffinity: &corev1.VolumeNodeAffinity{}}}} {
		if segments, everywhere := capacity.SegmentsOf(volume); !everywhere || segments != nil {
			t.Errorf("SegmentsOf a volume without affinity = %q, %t", segments, everywhere)
		}
	}
}

// twin knows what Segments must know, but remembers only the objects, and works
// everything out when it is asked.
type twin struct {
	labels map[string]map[string]string
	keys   map[string][]string // registered nodes
}

func (w twin) all() map[string]bool {
	found := map[string]bool{}
	for node, keys := range w.keys {
		labels, exists := w.labels[node]
		var parts []string
		for _, key := range keys {
			if value, ok := labels[key]; ok {
				parts = append(parts, key+"="+value)
			}
		}
		if exists && len(parts) == len(keys) {
			found[strings.Join(parts, ",")] = true
		}
	}
	return found
}

// FuzzSegments does the same steps with the segments and with their twin. A step
// is three bytes: what, to which node, how.
func FuzzSegments(f *testing.F) {
	f.Add([]byte{0, 0, 1, 2, 0, 1, 0, 0, 2, 1, 0, 0, 3, 0, 0})
	f.Add([]byte{2, 1, 3, 0, 1, 5, 2, 2, 3, 0, 2, 5, 1, 1, 0, 2, 2, 8})
	f.Fuzz(func(t *testing.T, steps []byte) {
		s, w := capacity.NewSegments(), twin{map[string]map[string]string{}, map[string][]string{}}
		for ; len(steps) >= 3; steps = steps[3:] {
			before := w.all()
			changed := do(s, w, steps[0], fmt.Sprint("n", steps[1]%5), steps[2])
			after := w.all()
			if got, want := all(s), strings.Join(slices.Sorted(maps.Keys(after)), " "); got != want || s.Len() != len(after) {
				t.Fatalf("there are the segments %q, want %q", got, want)
			}
			var want []string
			for segment := range before {
				if !after[segment] {
					want = append(want, segment)
				}
			}
			for segment := range after {
				if !before[segment] {
					want = append(want, segment)
				}
				if term, ok := s.Get(segment); !ok || term.String() != segment {
					t.Fatalf("Get(%q) = %v, %t", segment, term, ok)
				}
			}
			slices.Sort(want)
			slices.Sort(changed)
			if !slices.Equal(want, changed) {
				t.Fatalf("changed are %q, want %q", changed, want)
			}
		}
	})
}

func do(s *capacity.Segments, w twin, what byte, node string, how byte) []string {
	labels := map[string]string{}
	var keys []string
	for i, key := range []string{"rack", "zone"} {
		if how>>(2*i)&1 == 1 {
			labels[key] = fmt.Sprint(how >> (2*i + 1) & 1)
			keys = append(keys, key)
		}
	}
	switch what % 4 {
	case 0:
		w.labels[node] = labels
		return s.SetNode(node, labels)
	case 1:
		delete(w.labels, node)
		return s.DeleteNode(node)
	case 2:
		if how&16 != 0 {
			delete(w.keys, node)
			return s.SetRegistration(node, keys, false)
		}
		w.keys[node] = keys
		return s.SetRegistration(node, keys, true)
	}
	delete(w.keys, node)
	return s.DeleteRegistration(node)
}
