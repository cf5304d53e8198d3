package suite

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// TestCapacityOfMany: the cost of a start with 1,000 segments and 3 classes is one
// call and one write for each of the 3,000 pairs, and that of an object that somebody
// deletes is one more of each.
func TestCapacityOfMany(t *testing.T) {
	const segments, classes, pairs = 1000, 3, 3000
	s := newScene(t, "--capacity=10Gi")
	s.removeCapacities()
	s.racks(segments - 1) // and the driver's own node
	for i := range classes {
		s.class(fmt.Sprint("late-", i), nil, lateBinding)
	}
	p := s.proxy()
	started := time.Now()
	sidecar := s.sidecar(append(publishing("--capacity-threads=8"), stage.Through(p))...)
	s.until("all is published", func() (bool, error) {
		_, metrics, err := sidecar.Get("/metrics")
		return strings.Contains(metrics, fmt.Sprintf("\ncsistoragecapacities_desired_current %d\n", pairs)), err
	})
	t.Logf("%d objects were published after %s", pairs, time.Since(started))
	s.costs("at the start", p, pairs)
	objects := s.capacities()
	if len(objects) != pairs {
		t.Fatalf("there are %d objects", len(objects))
	}
	s.must(shared.Client.StorageV1().CSIStorageCapacities(metav1.NamespaceDefault).Delete(s.ctx, objects[0].Name, metav1.DeleteOptions{}))
	s.until("the object is made again", func() (bool, error) {
		return len(p.Writes(proxy.Match{Path: "csistoragecapacities"})) > pairs, nil
	})
	s.costs("with one that was deleted", p, pairs+1)
}

// costs compares the numbers of calls and of writes, by now.
func (s *scene) costs(when string, p *proxy.Proxy, want int) {
	s.Helper()
	calls, err := s.driver.Control.Calls(s.ctx, control.Filter{Method: "GetCapacity"})
	s.must(err)
	if writes := p.Writes(proxy.Match{Path: "csistoragecapacities"}); len(calls) != want || len(writes) != want {
		s.Errorf("%s: %d calls of GetCapacity and %d writes, want %d", when, len(calls), len(writes), want)
	}
}

// racks makes that many nodes as rack does, each at a place of its own, and several at
// a time.
func (s *scene) racks(number int) {
	s.Helper()
	const atOnce = 16
	many := map[string]string{"racks": s.id}
	selected := metav1.ListOptions{LabelSelector: "racks=" + s.id}
	nodes, registrations := shared.Client.CoreV1().Nodes(), shared.Client.StorageV1().CSINodes()
	s.Cleanup(func() {
		ctx := context.WithoutCancel(s.ctx)
		_ = nodes.DeleteCollection(ctx, metav1.DeleteOptions{}, selected)
		_ = registrations.DeleteCollection(ctx, metav1.DeleteOptions{}, selected)
	})
	var making sync.WaitGroup
	errs := make([]error, number)
	for lane := range atOnce {
		making.Go(func() {
			for n := lane; n < number; n += atOnce {
				place := fmt.Sprintf("r%04d", n)
				meta := metav1.ObjectMeta{Name: s.id + "-" + place, Labels: many}
				node := &corev1.Node{ObjectMeta: *meta.DeepCopy()}
				node.Labels[s.driver.TopologyKey] = place
				if _, errs[n] = nodes.Create(s.ctx, node, metav1.CreateOptions{}); errs[n] != nil {
					return
				}
				_, errs[n] = registrations.Create(s.ctx, &storagev1.CSINode{ObjectMeta: meta, Spec: storagev1.CSINodeSpec{
					Drivers: []storagev1.CSINodeDriver{{Name: s.driver.Name, NodeID: meta.Name, TopologyKeys: []string{s.driver.TopologyKey}}},
				}}, metav1.CreateOptions{})
			}
		})
	}
	making.Wait()
	for _, err := range errs {
		s.must(err)
	}
}
