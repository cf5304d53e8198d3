package topology_test

import (
	"testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// TestChange: those who wait are told of what concerns them, and of no more: in a
// cluster that grows, every new node would wake all claims.
func TestChange(t *testing.T) {
	nothing, own, all := topology.Change{}, topology.Change{Node: true}, topology.Change{Places: true}
	both := topology.Change{Node: true, Places: true}
	zones := []string{
		"node n1 zone=a", "csinode n1 zone", "node n2 zone=b", "csinode n2 zone", "node n3 zone=b", "csinode n3 zone",
	}
	for name, test := range map[string]struct {
		// before are steps after those of zones; see change.
		before []string
		do     func(*topology.Index) topology.Change
		want   topology.Change
	}{
		"a sign of life": {nil, setNode("n1", "zone=a"), nothing},
		"another label":  {nil, setNode("n1", "zone=a,other=x"), nothing},
		"a node appears in a known place, before its registration": {nil, setNode("n4", "zone=a"), nothing},
		"a node appears in a new place, before its registration":   {nil, setNode("n4", "zone=c"), all},
		"its registration":                        {[]string{"node n4 zone=a"}, register("n4", "zone"), own},
		"its registration, again":                 {[]string{"node n4 zone=a", "csinode n4 zone"}, register("n4", "zone"), nothing},
		"a node appears after its registration":   {[]string{"csinode n4 zone"}, setNode("n4", "zone=a"), own},
		"a node moves to a known place":           {nil, setNode("n3", "zone=a"), own},
		"a node moves to a new place":             {nil, setNode("n3", "zone=c"), both},
		"a node loses its label":                  {nil, setNode("n3", ""), own},
		"the last node of a place goes":           {nil, func(i *topology.Index) topology.Change { return i.DeleteNode("n1") }, both},
		"one of two nodes of a place goes":        {nil, func(i *topology.Index) topology.Change { return i.DeleteNode("n2") }, own},
		"a node goes that is unknown":             {nil, func(i *topology.Index) topology.Change { return i.DeleteNode("n9") }, nothing},
		"a registration goes":                     {nil, func(i *topology.Index) topology.Change { return i.DeleteRegistration("n1") }, own},
		"a registration goes that is unknown":     {nil, func(i *topology.Index) topology.Change { return i.DeleteRegistration("n9") }, nothing},
		"other keys":                              {nil, register("n1", "rack"), own},
		"other keys, which most nodes have now":   {[]string{"csinode n2 rack"}, register("n1", "rack"), both},
		"the driver on a first node without keys": {nil, register("n4"), own},
	} {
		t.Run(name, func(t *testing.T) {
			index := topology.NewIndex()
			change(index, zones...)
			change(index, test.before...)
			if got := test.do(index); got != test.want {
				t.Errorf("told of %+v, want %+v", got, test.want)
			}
		})
	}
}

func setNode(name, labels string) func(*topology.Index) topology.Change {
	return func(index *topology.Index) topology.Change { return index.SetNode(name, segments(labels)) }
}

func register(name string, keys ...string) func(*topology.Index) topology.Change {
	return func(index *topology.Index) topology.Change { return index.SetRegistration(name, keys) }
}
