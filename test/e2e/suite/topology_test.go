package suite

import (
	"context"
	"fmt"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rack makes a node at a place of the driver's topology. It has no room for
// pods, so that no other test's go there.
func (s *scene) rack(place string) {
	s.Helper()
	name := s.id + "-" + place
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{s.driver.TopologyKey: place}}}
	_, err := shared.Client.CoreV1().Nodes().Create(s.ctx, node, metav1.CreateOptions{})
	s.must(err)
	s.Cleanup(func() {
		ctx := context.WithoutCancel(s.ctx)
		_ = shared.Client.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{})
		_ = shared.Client.StorageV1().CSINodes().Delete(ctx, name, metav1.DeleteOptions{})
	})
	_, err = shared.Client.StorageV1().CSINodes().Create(s.ctx, &storagev1.CSINode{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
			{Name: s.driver.Name, NodeID: name, TopologyKeys: []string{s.driver.TopologyKey}},
		}},
	}, metav1.CreateOptions{})
	s.must(err)
}

// places are those of the driver's topology, in order.
func (s *scene) places(terms []*csipb.Topology) []string {
	s.Helper()
	var places []string
	for _, term := range terms {
		if len(term.GetSegments()) != 1 {
			s.Errorf("a term has the segments %v", term.GetSegments())
		}
		places = append(places, term.GetSegments()[s.driver.TopologyKey])
	}
	return places
}

// lateBinding is the class's field for it.
const lateBinding = "volumeBindingMode: WaitForFirstConsumer"

// TestTopology: which places are asked for, and which of them first, for each
// combination of binding mode, allowedTopologies and flags.
func TestTopology(t *testing.T) {
	t.Parallel()
	node := shared.Cluster.NodeName()
	all := []string{"aaa", node, "zzz"}
	allowed := []string{"aab", node}
	// asked are the places that are required; the first one that is preferred
	// is the node's, or depends on the claim's name.
	type asked struct{ immediate, immediateAllowed, late, lateAllowed []string }
	for _, c := range []struct {
		name  string
		flags []string
		want  asked
	}{
		{"default", nil, asked{all, allowed, all, allowed}},
		{"strict", []string{"--strict-topology"}, asked{all, allowed, []string{node}, []string{node}}},
		{"not-immediate", []string{"--immediate-topology=false"}, asked{nil, allowed, all, allowed}},
		{"off", []string{"--feature-gates=Topology=false"}, asked{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.rack("aaa")
			s.rack("zzz")
			s.sidecar(append(c.flags, soon)...)
			only := fmt.Sprintf("allowedTopologies:\n- matchLabelExpressions:\n  - {key: %s, values: [%s]}", s.driver.TopologyKey, strings.Join(allowed, ", "))
			s.asksFor("immediate", c.want.immediate, false)
			s.asksFor("immediate-allowed", c.want.immediateAllowed, false, only)
			s.asksFor("late", c.want.late, true)
			s.asksFor("late-allowed", c.want.lateAllowed, true, only)
		})
	}
}

// asksFor fails the test unless the driver is asked for a volume at these places.
func (s *scene) asksFor(name string, places []string, late bool, fields ...string) {
	s.Helper()
	if late {
		fields = append(fields, lateBinding)
	}
	claim := s.claim(name, s.class(name, nil, fields...))
	if late {
		s.pod(name, claim)
	}
	volume := s.boundToOne(claim)
	request, _ := s.requestFor(claim)
	requirement := request.GetAccessibilityRequirements()
	if diff := cmp.Diff(places, s.places(requirement.GetRequisite())); diff != "" {
		s.Errorf("%s: the places that are required (-want +got):\n%s", name, diff)
	}
	preferred := s.places(requirement.GetPreferred())
	if !isRotation(places, preferred) || late && len(places) > 0 && preferred[0] != shared.Cluster.NodeName() {
		s.Errorf("%s: the places that are preferred are %q", name, preferred)
	}
	if len(preferred) == 0 {
		return
	}
	terms := volume.Spec.NodeAffinity.Required.NodeSelectorTerms
	if len(terms) != 1 || cmp.Diff([]corev1.NodeSelectorRequirement{
		{Key: s.driver.TopologyKey, Operator: corev1.NodeSelectorOpIn, Values: preferred[:1]},
	}, terms[0].MatchExpressions) != "" {
		s.Errorf("%s: the volume's nodes are %v, want those at %q", name, terms, preferred[0])
	}
}

func isRotation(of, list []string) bool {
	if len(of) == 0 {
		return len(list) == 0
	}
	for i := range of {
		if cmp.Equal(append(append([]string{}, of[i:]...), of[:i]...), list) {
			return true
		}
	}
	return false
}

// TestLateBinding: nothing happens before a pod needs the volume.
func TestLateBinding(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	late := s.claim("late", s.class("late", nil, lateBinding), modes(corev1.ReadWriteOncePod))
	// Whoever has seen a later claim has seen this one, too.
	s.boundToOne(s.claim("immediate", s.class("immediate", nil)))
	s.event(s.id, late.Name, "WaitForFirstConsumer", "")
	s.untouched(late)
	if warnings := s.failures(late.Name); len(warnings) > 0 {
		t.Errorf("there are warnings: %v", warnings)
	}
	s.pod("pod", late)
	s.boundToOne(late)
	if shared.Kubelet {
		s.running("pod")
	}
}
