package topology_test

import (
	"slices"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// term makes the term that is written as zone=a,rack=7; the order of the
// segments is kept.
func term(text string) topology.Term {
	var made topology.Term
	for part := range strings.SplitSeq(text, ",") {
		if key, value, ok := strings.Cut(part, "="); ok {
			made = append(made, topology.Segment{Key: key, Value: value})
		}
	}
	return made
}

func terms(texts ...string) []topology.Term {
	var made []topology.Term
	for _, text := range texts {
		made = append(made, term(text))
	}
	return made
}

// written is the opposite of terms.
func written(terms []topology.Term) []string {
	var texts []string
	for _, t := range terms {
		texts = append(texts, t.String())
	}
	return texts
}

// segments makes the map that is written as a term.
func segments(text string) map[string]string {
	if text == "" {
		return nil
	}
	made := map[string]string{}
	for _, s := range term(text) {
		made[s.Key] = s.Value
	}
	return made
}

func TestNewTerm(t *testing.T) {
	for name, test := range map[string]struct{ segments, want string }{
		"none":          {"", ""},
		"one":           {"zone=a", "zone=a"},
		"sorted by key": {"zone=a,rack=7,area=x", "area=x,rack=7,zone=a"},
		"empty value":   {"zone=", "zone="},
	} {
		t.Run(name, func(t *testing.T) {
			got := topology.NewTerm(segments(test.segments))
			if got.String() != test.want {
				t.Errorf("NewTerm = %q, want %q", got, test.want)
			}
			if diff := cmp.Diff(term(test.want), slices.Clip(got), cmp.Transformer("string", topology.Term.String)); diff != "" {
				t.Errorf("NewTerm (-want +got):\n%s", diff)
			}
			want := &csipb.Topology{Segments: segments(test.segments)}
			if diff := cmp.Diff(want, got.CSI(), protocmp.Transform()); diff != "" {
				t.Errorf("CSI (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFromLabels(t *testing.T) {
	labels := segments("zone=a,rack=7,other=x,empty=")
	for name, test := range map[string]struct {
		labels        map[string]string
		keys          []string
		want, missing string
	}{
		"one":               {labels, []string{"zone"}, "zone=a", ""},
		"several":           {labels, []string{"rack", "zone"}, "rack=7,zone=a", ""},
		"keys not sorted":   {labels, []string{"zone", "rack"}, "rack=7,zone=a", ""},
		"empty value":       {labels, []string{"empty"}, "empty=", ""},
		"missing":           {labels, []string{"host"}, "", "host"},
		"first missing":     {labels, []string{"zone", "y", "x"}, "", "y"},
		"no labels":         {nil, []string{"zone"}, "", "zone"},
		"no keys":           {labels, nil, "", ""},
		"no keys or labels": {nil, nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, missing := topology.FromLabels(test.labels, test.keys)
			if got.String() != test.want || missing != test.missing {
				t.Errorf("FromLabels = %q, %q; want %q, %q", got, missing, test.want, test.missing)
			}
		})
	}
}

func TestCompareTerms(t *testing.T) {
	ordered := []string{
		"", "a=", "a=1", "a=10", "a=2", "b=1", "zone=z",
		"a=1,b=1", "a=1,b=2", "a=1,c=0", "a=2,b=1", "b=1,c=1",
		"a=0,b=0,c=0",
	}
	for i, a := range ordered {
		for j, b := range ordered {
			want := min(1, max(-1, i-j))
			if got := term(a).Compare(term(b)); got != want {
				t.Errorf("%q.Compare(%q) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestSubsetOf(t *testing.T) {
	for name, test := range map[string]struct {
		a, b string
		want bool
	}{
		"the same":       {"rack=7,zone=a", "rack=7,zone=a", true},
		"part":           {"zone=a", "rack=7,zone=a", true},
		"more":           {"rack=7,zone=a", "zone=a", false},
		"other value":    {"zone=b", "rack=7,zone=a", false},
		"other key":      {"rack=a", "zone=a", false},
		"one of two":     {"rack=8,zone=a", "rack=7,zone=a", false},
		"empty":          {"", "zone=a", true},
		"of the empty":   {"zone=a", "", false},
		"empty of empty": {"", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := term(test.a).SubsetOf(term(test.b)); got != test.want {
				t.Errorf("%q.SubsetOf(%q) = %t", test.a, test.b, got)
			}
		})
	}
}
