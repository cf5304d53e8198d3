package kube

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

func TestOnChange(t *testing.T) {
	named := func(name string) *corev1.Node { return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}} }
	another := func(name string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "another"}}
	}
	nameOf := func(n *corev1.Node) string {
		if n == nil {
			return "none"
		}
		return n.Name
	}
	other := &corev1.Pod{}
	cases := map[string]struct {
		event func(cache.ResourceEventHandlerFuncs)
		want  []string
	}{
		"appears":     {func(h cache.ResourceEventHandlerFuncs) { h.OnAdd(named("a"), true) }, []string{"set none a"}},
		"changes":     {func(h cache.ResourceEventHandlerFuncs) { h.OnUpdate(named("a"), named("b")) }, []string{"set a b"}},
		"is replaced": {func(h cache.ResourceEventHandlerFuncs) { h.OnUpdate(named("a"), another("b")) }, []string{"gone a", "set none b"}},
		"goes":        {func(h cache.ResourceEventHandlerFuncs) { h.OnDelete(named("a")) }, []string{"gone a"}},
		"has gone unseen": {func(h cache.ResourceEventHandlerFuncs) {
			h.OnDelete(cache.DeletedFinalStateUnknown{Key: "a", Obj: named("a")})
		}, []string{"gone a"}},
		"appears, another kind": {func(h cache.ResourceEventHandlerFuncs) { h.OnAdd(other, true) }, nil},
		"changes, another kind": {func(h cache.ResourceEventHandlerFuncs) { h.OnUpdate(other, other) }, nil},
		"goes, another kind":    {func(h cache.ResourceEventHandlerFuncs) { h.OnDelete(other) }, nil},
		"has gone, last state of another kind": {func(h cache.ResourceEventHandlerFuncs) {
			h.OnDelete(cache.DeletedFinalStateUnknown{Key: "a", Obj: other})
		}, nil},
	}
	for name, c := range cases {
		var got []string
		c.event(OnChange(func(old, now *corev1.Node) { got = append(got, "set "+nameOf(old)+" "+nameOf(now)) },
			func(last *corev1.Node) { got = append(got, "gone "+nameOf(last)) }))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
