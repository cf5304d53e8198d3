package topology_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// shown writes facts as one line.
func shown(f topology.Facts) string {
	return fmt.Sprintf("known=%t keys=%s place=%s missing=%s cluster=%s",
		f.NodeKnown, strings.Join(f.Keys, ","), f.Place, f.MissingLabel, strings.Join(written(f.Cluster.Terms()), " "))
}

// change does the steps that are written as
//
//	node n zone=a,rack=1     a node with these labels
//	node n -                 no such node
//	csinode n zone rack      a CSINode with these topology keys of the driver
//	csinode n -              no such CSINode
func change(index *topology.Index, steps ...string) {
	for _, step := range steps {
		words := strings.Fields(step)
		switch gone := len(words) > 2 && words[2] == "-"; {
		case words[0] == "node" && gone:
			index.DeleteNode(words[1])
		case words[0] == "node":
			index.SetNode(words[1], segments(strings.Join(words[2:], ",")))
		case gone:
			index.DeleteRegistration(words[1])
		default:
			index.SetRegistration(words[1], words[2:])
		}
	}
}

func TestIndex(t *testing.T) {
	zones := []string{
		"node n1 zone=b", "csinode n1 zone", "node n2 zone=a", "csinode n2 zone", "node n3 zone=b", "csinode n3 zone",
	}
	then := func(steps ...string) []string { return append(append([]string{}, zones...), steps...) }
	const nothing = "known=false keys= place= missing= cluster="
	for name, test := range map[string]struct {
		steps    []string
		selected string
		want     string
	}{
		"empty":                 {nil, "", nothing},
		"empty, selected":       {nil, "n1", nothing},
		"selected":              {zones, "n1", "known=true keys=zone place=zone=b missing= cluster=zone=a zone=b"},
		"immediate":             {zones, "", "known=false keys=zone place= missing= cluster=zone=a zone=b"},
		"unknown node":          {zones, "n9", nothing},
		"events in other order": {[]string{"csinode n1 zone", "csinode n2 zone", "node n2 zone=a", "node n1 zone=b"}, "n1", "known=true keys=zone place=zone=b missing= cluster=zone=a zone=b"},
		"CSINode without node":  {then("csinode n4 zone"), "n4", "known=true keys=zone place= missing=zone cluster=zone=a zone=b"},
		"node without CSINode":  {then("node n4 zone=c"), "n4", nothing},
		"labels count even where the driver does not run": {then("node n4 zone=c"), "n1", "known=true keys=zone place=zone=b missing= cluster=zone=a zone=b zone=c"},
		"node without labels":                             {then("node n4", "csinode n4 zone"), "n4", "known=true keys=zone place= missing=zone cluster=zone=a zone=b"},
		"driver without topology":                         {then("node n4 zone=c", "csinode n4"), "n4", "known=true keys= place= missing= cluster="},
		"one node of two in a zone goes":                  {then("node n1 -"), "n2", "known=true keys=zone place=zone=a missing= cluster=zone=a zone=b"},
		"the last node in a zone goes":                    {then("node n2 -"), "n1", "known=true keys=zone place=zone=b missing= cluster=zone=b"},
		"a node goes, its CSINode not yet":                {then("node n2 -"), "n2", "known=true keys=zone place= missing=zone cluster=zone=b"},
		"a CSINode goes, its node not yet":                {then("csinode n2 -"), "n2", nothing},
		"a CSINode goes, its place counts":                {then("csinode n2 -"), "n1", "known=true keys=zone place=zone=b missing= cluster=zone=a zone=b"},
		"all CSINodes go":                                 {then("csinode n1 -", "csinode n2 -", "csinode n3 -"), "", nothing},
		"all come back":                                   {then("csinode n1 -", "csinode n2 -", "csinode n3 -", "csinode n1 zone"), "", "known=false keys=zone place= missing= cluster=zone=a zone=b"},
		"a node moves":                                    {then("node n2 zone=c"), "n1", "known=true keys=zone place=zone=b missing= cluster=zone=b zone=c"},
		"a node loses its label":                          {then("node n2 other=x"), "n2", "known=true keys=zone place= missing=zone cluster=zone=b"},
		"a label that does not matter":                    {then("node n2 other=x,zone=a"), "n2", "known=true keys=zone place=zone=a missing= cluster=zone=a zone=b"},
		"gone twice":                                      {then("node n2 -", "node n2 -", "csinode n2 -", "csinode n2 -"), "n1", "known=true keys=zone place=zone=b missing= cluster=zone=b"},
		"keys in any order, twice": {
			[]string{"node n1 zone=a,rack=1", "csinode n1 zone rack zone", "node n2 zone=b,rack=1", "csinode n2 rack zone"}, "n1",
			"known=true keys=rack,zone place=rack=1,zone=a missing= cluster=rack=1,zone=a rack=1,zone=b",
		},
		"the first missing label": {
			[]string{"node n1 zone=a", "csinode n1 zone rack host"}, "n1", "known=true keys=host,rack,zone place= missing=host cluster=",
		},
		"a node changes its keys": {
			then("node n2 zone=a,rack=1", "csinode n2 rack zone"), "n2", "known=true keys=rack,zone place=rack=1,zone=a missing= cluster=rack=1,zone=a",
		},
		"a node drops its keys":          {then("csinode n2"), "n2", "known=true keys= place= missing= cluster="},
		"most nodes decide":              {then("node n4 rack=1", "csinode n4 rack"), "", "known=false keys=zone place= missing= cluster=zone=a zone=b"},
		"the first of equals decides":    {[]string{"node n1 zone=a", "csinode n1 zone", "node n2 rack=1", "csinode n2 rack"}, "", "known=false keys=rack place= missing= cluster=rack=1"},
		"other groups do not matter":     {then("node n4 rack=1", "csinode n4 rack"), "n4", "known=true keys=rack place=rack=1 missing= cluster=rack=1"},
		"registered, but no labels":      {[]string{"csinode n1 zone"}, "", "known=false keys=zone place= missing= cluster="},
		"set again to the same, a group": {then("csinode n1 zone", "node n1 zone=b", "node n3 -", "csinode n3 -"), "n1", "known=true keys=zone place=zone=b missing= cluster=zone=a zone=b"},
	} {
		t.Run(name, func(t *testing.T) {
			index := topology.NewIndex()
			change(index, test.steps...)
			if diff := cmp.Diff(test.want, shown(index.Facts(test.selected))); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

// What one claim was told may be in a request that is repeated for hours.
func TestFactsDoNotChange(t *testing.T) {
	index := topology.NewIndex()
	change(index, "node n1 zone=b", "csinode n1 zone", "node n2 zone=a", "csinode n2 zone")
	selected, immediate := index.Facts("n1"), index.Facts("")
	before := shown(selected) + shown(immediate)
	change(index, "node n1 zone=c", "node n3 zone=d", "csinode n1 rack", "node n2 -", "csinode n2 -")
	if diff := cmp.Diff(before, shown(selected)+shown(immediate)); diff != "" {
		t.Errorf("facts that were handed out have changed (-want +got):\n%s", diff)
	}
}

// The places are put in order once, not for each claim, and only when they have
// changed.
func TestClaimsShareThePlaces(t *testing.T) {
	index := topology.NewIndex()
	change(index, "node n1 zone=b", "csinode n1 zone", "node n2 zone=a", "csinode n2 zone")
	set := index.Facts("n1").Cluster
	change(index, "node n3 zone=a", "node n3 zone=b", "node n1 zone=b,other=x", "csinode n3 zone", "csinode n3 -", "node n3 -")
	for _, selected := range []string{"n1", "n2", ""} {
		if index.Facts(selected).Cluster != set {
			t.Errorf("the places as seen from %q are another set, though they are the same", selected)
		}
	}
	change(index, "node n3 zone=c")
	if index.Facts("n1").Cluster == set {
		t.Error("the places are the same set, though they have changed")
	}
}

func TestIndexFromManySides(t *testing.T) {
	index := topology.NewIndex()
	var group sync.WaitGroup
	for i := range 4 {
		node := fmt.Sprintf("n%d", i)
		group.Go(func() {
			for j := range 200 {
				change(index, fmt.Sprintf("node %s zone=%d", node, j%5), "csinode "+node+" zone")
				facts := index.Facts(node)
				if got, want := facts.Place.String(), fmt.Sprintf("zone=%d", j%5); got != want {
					t.Errorf("node %s is in %s, want %s", node, got, want)
				}
				if _, err := topology.Requirement(topology.Request{SelectedNode: node, Facts: facts}); err != nil {
					t.Error(err)
				}
				index.Facts("")
				change(index, "csinode "+node+" -", "node "+node+" -")
			}
		})
	}
	group.Wait()
	if got := shown(index.Facts("")); got != shown(topology.Facts{}) {
		t.Errorf("an index without nodes says %s", got)
	}
}
