package topology_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

func TestHomeReaches(t *testing.T) {
	home := &topology.Home{Node: "n1", Place: topology.NewTerm(map[string]string{"zone": "a", "rack": "7"})}
	is := func(key string, operator corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorRequirement {
		return corev1.NodeSelectorRequirement{Key: key, Operator: operator, Values: values}
	}
	in := func(key string, values ...string) corev1.NodeSelectorRequirement {
		return is(key, corev1.NodeSelectorOpIn, values...)
	}
	all := func(expressions ...corev1.NodeSelectorRequirement) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: expressions}
	}
	named := func(operator corev1.NodeSelectorOperator, name string) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{is("metadata.name", operator, name)}}
	}
	affinity := func(terms ...corev1.NodeSelectorTerm) *corev1.VolumeNodeAffinity {
		return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: terms}}
	}
	for name, test := range map[string]struct {
		home     *topology.Home
		affinity *corev1.VolumeNodeAffinity
		want     bool
	}{
		"here":                        {home, affinity(all(in("zone", "a"))), true},
		"here, by both segments":      {home, affinity(all(in("rack", "7"), in("zone", "a"))), true},
		"elsewhere":                   {home, affinity(all(in("zone", "b"))), false},
		"elsewhere, by one segment":   {home, affinity(all(in("zone", "a"), in("rack", "8"))), false},
		"by a key that is unknown":    {home, affinity(all(in("host", "a"))), false},
		"in one of several values":    {home, affinity(all(in("zone", "b", "a"))), true},
		"in the second term":          {home, affinity(all(in("zone", "b")), all(in("zone", "a"))), true},
		"in none of two terms":        {home, affinity(all(in("zone", "b")), all(in("zone", "c"))), false},
		"no affinity":                 {home, nil, true},
		"nothing required":            {home, &corev1.VolumeNodeAffinity{}, true},
		"no terms":                    {home, affinity(), false},
		"an empty term":               {home, affinity(all()), false},
		"a driver without topology":   {&topology.Home{Node: "n1"}, affinity(all(in("zone", "b"))), true},
		"every node":                  {nil, affinity(all(in("zone", "b"))), true},
		"not there":                   {home, affinity(all(is("zone", corev1.NodeSelectorOpNotIn, "b"))), true},
		"not here":                    {home, affinity(all(is("zone", corev1.NodeSelectorOpNotIn, "a"))), false},
		"not, by an unknown key":      {home, affinity(all(is("host", corev1.NodeSelectorOpNotIn, "a"))), true},
		"with a key":                  {home, affinity(all(is("zone", corev1.NodeSelectorOpExists))), true},
		"with an unknown key":         {home, affinity(all(is("host", corev1.NodeSelectorOpExists))), false},
		"without a key":               {home, affinity(all(is("zone", corev1.NodeSelectorOpDoesNotExist))), false},
		"without an unknown key":      {home, affinity(all(is("host", corev1.NodeSelectorOpDoesNotExist))), true},
		"greater":                     {home, affinity(all(is("rack", corev1.NodeSelectorOpGt, "6"))), true},
		"not greater":                 {home, affinity(all(is("rack", corev1.NodeSelectorOpGt, "7"))), false},
		"less":                        {home, affinity(all(is("rack", corev1.NodeSelectorOpLt, "8"))), true},
		"less than what is no number": {home, affinity(all(is("rack", corev1.NodeSelectorOpLt, "z"))), false},
		"greater, and no number":      {home, affinity(all(is("zone", corev1.NodeSelectorOpGt, "1"))), false},
		"an operator of the future":   {home, affinity(all(is("zone", "Like", "a"))), false},
		"by name":                     {home, affinity(named(corev1.NodeSelectorOpIn, "n1")), true},
		"by another name":             {home, affinity(named(corev1.NodeSelectorOpIn, "n2")), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.home.Reaches(test.affinity); got != test.want {
				t.Errorf("Reaches = %t, want %t", got, test.want)
			}
		})
	}
}
