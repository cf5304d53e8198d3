package topology_test

import (
	"fmt"
	"slices"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// places writes a list of messages as terms are written.
func places(messages []*csipb.Topology) []string {
	var texts []string
	for _, m := range messages {
		texts = append(texts, topology.NewTerm(m.GetSegments()).String())
	}
	return texts
}

func TestNewSet(t *testing.T) {
	for name, test := range map[string]struct{ terms, want []string }{
		"none":              {nil, nil},
		"sorted":            {[]string{"z=c", "z=a", "z=b"}, []string{"z=a", "z=b", "z=c"}},
		"shorter first":     {[]string{"a=1,b=1", "z=a"}, []string{"z=a", "a=1,b=1"}},
		"no duplicates":     {[]string{"z=b", "z=a", "z=b", "z=b"}, []string{"z=a", "z=b"}},
		"no empty terms":    {[]string{"", "z=a", ""}, []string{"z=a"}},
		"empty terms alone": {[]string{"", ""}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			given := terms(test.terms...)
			set := topology.NewSet(given)
			if diff := cmp.Diff(test.want, written(set.Terms())); diff != "" {
				t.Errorf("terms (-want +got):\n%s", diff)
			}
			if set.Len() != len(test.want) {
				t.Errorf("Len is %d, want %d", set.Len(), len(test.want))
			}
			if diff := cmp.Diff(test.terms, written(given)); diff != "" {
				t.Errorf("the argument was changed (-want +got):\n%s", diff)
			}
			if len(given) > 0 {
				given[0] = term("changed=later")
				if diff := cmp.Diff(test.want, written(set.Terms())); diff != "" {
					t.Errorf("the argument was kept (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestNilSet(t *testing.T) {
	var set *topology.Set
	if set.Len() != 0 || set.Terms() != nil || set.Requirement(0) != nil {
		t.Error("a nil set is not empty")
	}
}

func TestSetRequirement(t *testing.T) {
	set := topology.NewSet(terms("z=a", "z=b", "z=c"))
	for first, preferred := range [][]string{
		{"z=a", "z=b", "z=c"}, {"z=b", "z=c", "z=a"}, {"z=c", "z=a", "z=b"},
	} {
		got := set.Requirement(first)
		if diff := cmp.Diff([]string{"z=a", "z=b", "z=c"}, places(got.GetRequisite())); diff != "" {
			t.Errorf("requisite from %d (-want +got):\n%s", first, diff)
		}
		if diff := cmp.Diff(preferred, places(got.GetPreferred())); diff != "" {
			t.Errorf("preferred from %d (-want +got):\n%s", first, diff)
		}
	}
	if got := topology.NewSet(nil).Requirement(0); got != nil {
		t.Errorf("the requirement of an empty set is %v", got)
	}
}

// A requirement costs no copy of the places, which may be thousands.
func TestRequirementsShareTheSet(t *testing.T) {
	set := topology.NewSet(terms("z=a", "z=b", "z=c"))
	one, other := set.Requirement(1), set.Requirement(2)
	if &one.Requisite[0] != &other.Requisite[0] {
		t.Error("the requisite lists are copies")
	}
	if &one.Preferred[1] != &other.Preferred[0] {
		t.Error("the preferred lists are copies")
	}
	if one.Requisite[0] != other.Preferred[1] {
		t.Error("the messages are copies")
	}
}

func TestAppendingDoesNotChangeTheSet(t *testing.T) {
	set := topology.NewSet(terms("z=a", "z=b", "z=c"))
	for first := range 3 {
		r := set.Requirement(first)
		intruder := &csipb.Topology{Segments: map[string]string{"z": "intruder"}}
		_ = append(r.Requisite, intruder)
		_ = append(r.Preferred, intruder)
	}
	for first := range 3 {
		r := set.Requirement(first)
		for _, place := range slices.Concat(places(r.GetRequisite()), places(r.GetPreferred())) {
			if place == "z=intruder" {
				t.Errorf("an append has changed what the set hands out from %d", first)
			}
		}
	}
}

// allow makes the selector term that is written as its expressions.
func allow(expressions ...corev1.TopologySelectorLabelRequirement) corev1.TopologySelectorTerm {
	return corev1.TopologySelectorTerm{MatchLabelExpressions: expressions}
}

func in(key string, values ...string) corev1.TopologySelectorLabelRequirement {
	return corev1.TopologySelectorLabelRequirement{Key: key, Values: values}
}

func TestFlatten(t *testing.T) {
	type selectors = []corev1.TopologySelectorTerm
	for name, test := range map[string]struct {
		selectors selectors
		want      []string
	}{
		"none":              {nil, nil},
		"empty term":        {selectors{allow()}, nil},
		"no values":         {selectors{allow(in("zone"))}, nil},
		"one of two empty":  {selectors{allow(in("zone", "a"), in("rack"))}, nil},
		"one value":         {selectors{allow(in("zone", "a"))}, []string{"zone=a"}},
		"values":            {selectors{allow(in("zone", "b", "a"))}, []string{"zone=a", "zone=b"}},
		"the same twice":    {selectors{allow(in("zone", "a", "a"))}, []string{"zone=a"}},
		"terms":             {selectors{allow(in("zone", "b")), allow(in("zone", "a"))}, []string{"zone=a", "zone=b"}},
		"overlapping terms": {selectors{allow(in("zone", "a", "b")), allow(in("zone", "b", "c"))}, []string{"zone=a", "zone=b", "zone=c"}},
		"beside an empty":   {selectors{allow(), allow(in("zone", "a"))}, []string{"zone=a"}},
		"different keys":    {selectors{allow(in("zone", "a"), in("rack", "1")), allow(in("zone", "b"))}, []string{"zone=b", "rack=1,zone=a"}},
		"product": {
			selectors{allow(in("zone", "a", "b"), in("rack", "1", "2"))},
			[]string{"rack=1,zone=a", "rack=1,zone=b", "rack=2,zone=a", "rack=2,zone=b"},
		},
		"product of three": {
			selectors{allow(in("zone", "a"), in("rack", "1", "2"), in("host", "x", "y"))},
			[]string{"host=x,rack=1,zone=a", "host=x,rack=2,zone=a", "host=y,rack=1,zone=a", "host=y,rack=2,zone=a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, written(topology.Flatten(test.selectors).Terms())); diff != "" {
				t.Errorf("terms (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNodeAffinity(t *testing.T) {
	for name, test := range map[string]struct {
		accessible []*csipb.Topology
		want       []string // a node selector term each; nil for everywhere
	}{
		"none":             {nil, nil},
		"no segments":      {[]*csipb.Topology{{}}, nil},
		"nil":              {[]*csipb.Topology{nil}, nil},
		"one":              {[]*csipb.Topology{topo("zone=a")}, []string{"zone In [a]"}},
		"keys are sorted":  {[]*csipb.Topology{topo("zone=a,rack=1")}, []string{"rack In [1], zone In [a]"}},
		"several":          {[]*csipb.Topology{topo("zone=b"), topo("zone=a")}, []string{"zone In [b]", "zone In [a]"}},
		"or everywhere":    {[]*csipb.Topology{topo("zone=b"), {}}, nil},
		"empty value":      {[]*csipb.Topology{topo("zone=")}, []string{"zone In []"}},
		"several segments": {[]*csipb.Topology{topo("zone=a,rack=1"), topo("zone=b")}, []string{"rack In [1], zone In [a]", "zone In [b]"}},
	} {
		t.Run(name, func(t *testing.T) {
			affinity := topology.NodeAffinity(test.accessible)
			if test.want == nil {
				if affinity != nil {
					t.Errorf("got %v, want none", affinity)
				}
				return
			}
			var got []string
			for _, term := range affinity.Required.NodeSelectorTerms {
				if len(term.MatchFields) > 0 {
					t.Errorf("the term has fields: %v", term)
				}
				text := ""
				for i, e := range term.MatchExpressions {
					if i > 0 {
						text += ", "
					}
					text += fmt.Sprintf("%s %s %s", e.Key, e.Operator, e.Values)
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("terms (-want +got):\n%s", diff)
			}
		})
	}
}

func topo(text string) *csipb.Topology { return &csipb.Topology{Segments: segments(text)} }
