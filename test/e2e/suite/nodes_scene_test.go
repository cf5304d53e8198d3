package suite

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// selectedNode is the annotation that tells which node a claim belongs to.
const selectedNode = "volume.kubernetes.io/selected-node"

// fleet are some nodes made by hand, each with a driver and a sidecar of its own. The
// scene's driver is that of the first of them.
type fleet struct {
	*scene
	nodes []*member
}

// member is one node of a fleet.
type member struct {
	name    string
	driver  *stage.Driver
	sidecar *stage.Sidecar
	// starts counts the processes of the sidecar, which have names of their own.
	starts int
}

// quick are the flags by which nodes compete in a short time.
func quick(flags ...string) []string {
	return append([]string{"--node-deployment-base-delay=500ms", "--node-deployment-max-delay=1s", soon}, flags...)
}

// newFleet makes nodes and starts their drivers, the n-th with the flags that are
// returned for it. The sidecars are started by [fleet.start].
func newFleet(t *testing.T, size int, flags func(n int) []string) *fleet {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	id := identifier(t.Name())
	f := &fleet{scene: &scene{T: t, ctx: ctx, id: id}}
	f.apply(fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}", id))
	name := id + ".example"
	for n := range size {
		m := &member{name: fmt.Sprintf("%s-%02d", id, n)}
		var err error
		m.driver, err = shared.StartNodeDriver(ctx, m.name, name, m.name, flags(n)...)
		f.must(err)
		t.Cleanup(func() { _ = m.driver.Process().Kill() })
		f.nodes = append(f.nodes, m)
	}
	f.driver = f.nodes[0].driver
	for _, m := range f.nodes {
		f.register(m)
	}
	return f
}

// register makes the node, which has no room for pods, and the driver's entry.
func (f *fleet) register(m *member) {
	f.Helper()
	_, err := shared.Client.CoreV1().Nodes().Create(f.ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: m.name, Labels: map[string]string{m.driver.TopologyKey: m.name}},
	}, metav1.CreateOptions{})
	f.must(err)
	f.Cleanup(func() {
		ctx := context.WithoutCancel(f.ctx)
		_ = shared.Client.CoreV1().Nodes().Delete(ctx, m.name, metav1.DeleteOptions{})
		_ = shared.Client.StorageV1().CSINodes().Delete(ctx, m.name, metav1.DeleteOptions{})
	})
	_, err = shared.Client.StorageV1().CSINodes().Create(f.ctx, &storagev1.CSINode{
		ObjectMeta: metav1.ObjectMeta{Name: m.name},
		Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
			{Name: m.driver.Name, NodeID: m.name, TopologyKeys: []string{m.driver.TopologyKey}},
		}},
	}, metav1.CreateOptions{})
	f.must(err)
}

// proxied starts a proxy with the rights for node deployment.
func (f *fleet) proxied() *proxy.Proxy {
	f.Helper()
	p, err := shared.NodeProxy(f.ctx)
	f.must(err)
	f.Cleanup(func() { _ = p.Close() })
	return p
}

// start starts the sidecars of all nodes, all at once.
func (f *fleet) start(flags ...string) {
	f.Helper()
	var starting sync.WaitGroup
	errs := make([]error, len(f.nodes))
	for n, m := range f.nodes {
		starting.Go(func() { errs[n] = f.launch(m, flags...) })
	}
	starting.Wait()
	for n, m := range f.nodes {
		f.watch(m)
		f.must(errs[n])
	}
}

// startAt starts the sidecar of one node.
func (f *fleet) startAt(m *member, flags ...string) {
	f.Helper()
	err := f.launch(m, flags...)
	f.watch(m)
	f.must(err)
}

func (f *fleet) launch(m *member, flags ...string) error {
	var err error
	m.starts++
	m.sidecar, err = shared.StartNodeSidecar(f.ctx, fmt.Sprintf("sidecar-%s-%d", m.name, m.starts), m.name, m.driver, append([]string{"--retry-interval-max=2s"}, flags...)...)
	if err != nil {
		return err
	}
	return m.sidecar.WaitReady(f.ctx)
}

// watch ends the sidecar with the test.
func (f *fleet) watch(m *member) {
	if m.sidecar == nil {
		return
	}
	sidecar := m.sidecar
	f.Cleanup(func() {
		_ = sidecar.Kill()
		f.keepsSecrets(sidecar.Name(), sidecar.Log())
		if f.Failed() {
			f.Logf("the log of the sidecar of %s ends with\n%s", m.name, tail(sidecar.Log(), 15))
		}
	})
}

// callsAt returns the calls of a method that have reached a node's driver.
func (f *fleet) callsAt(m *member, method string, claim *corev1.PersistentVolumeClaim) []control.Call {
	f.Helper()
	filter := control.Filter{Method: method}
	if claim != nil {
		filter.Volume = string(claim.UID)
	}
	calls, err := m.driver.Control.Calls(f.ctx, filter)
	f.must(err)
	return calls
}

// volumesAt returns what a node's driver has.
func (f *fleet) volumesAt(m *member) []control.Volume {
	f.Helper()
	volumes, err := m.driver.Control.Volumes(f.ctx)
	f.must(err)
	return volumes
}

// boundAt waits until the claim is bound, and fails the test unless its volume is at
// one node, made once, and no other node's driver was asked for it. It returns that
// node.
func (f *fleet) boundAt(claim *corev1.PersistentVolumeClaim) *member {
	f.Helper()
	volume := f.bound(claim.Name)
	var at *member
	for _, m := range f.nodes {
		calls := f.callsAt(m, "CreateVolume", claim)
		switch {
		case f.placeOf(volume) == m.name:
			at = m
			if len(calls) != 1 {
				f.Errorf("CreateVolume was called %d times at %s for claim %s", len(calls), m.name, claim.Name)
			}
		case len(calls) > 0:
			f.Errorf("CreateVolume was called at %s for claim %s, whose volume is at %s", m.name, claim.Name, f.placeOf(volume))
		}
	}
	if at == nil {
		f.Fatalf("the volume of claim %s is at %q, where there is no node", claim.Name, f.placeOf(volume))
	}
	return at
}

// placeOf is the node of a volume.
func (f *fleet) placeOf(volume *corev1.PersistentVolume) string {
	f.Helper()
	terms := volume.Spec.NodeAffinity.Required.NodeSelectorTerms
	if len(terms) != 1 || len(terms[0].MatchExpressions) != 1 || terms[0].MatchExpressions[0].Key != f.driver.TopologyKey {
		f.Fatalf("volume %s is at %v", volume.Name, terms)
	}
	return terms[0].MatchExpressions[0].Values[0]
}

// untouchedBy fails the test when a driver was asked for the claim's volume.
func (f *fleet) untouchedBy(claim *corev1.PersistentVolumeClaim, members ...*member) {
	f.Helper()
	for _, m := range members {
		if calls := f.callsAt(m, "CreateVolume", claim); len(calls) > 0 {
			f.Errorf("CreateVolume was called at %s for claim %s: %v", m.name, claim.Name, calls)
		}
	}
}

// gone deletes a claim, and waits until its volume is gone.
func (f *fleet) gone(claim *corev1.PersistentVolumeClaim) {
	f.Helper()
	volume := f.bound(claim.Name)
	f.deleteClaim(claim.Name)
	f.volumeGone(volume.Name)
}

// ofNode is a claim that belongs to a node.
func ofNode(name string) func(*corev1.PersistentVolumeClaim) { return annotated(selectedNode, name) }

// ofSize is a claim of that size.
func ofSize(size string) func(*corev1.PersistentVolumeClaim) {
	return func(claim *corev1.PersistentVolumeClaim) {
		claim.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse(size)
	}
}

// conflicts are the writes that were refused because somebody was faster.
func conflicts(p *proxy.Proxy, path string) int {
	n := 0
	for _, write := range p.Writes(proxy.Match{Path: path}) {
		if write.Code == http.StatusConflict {
			n++
		}
	}
	return n
}

// volumesOfDriver returns the PersistentVolumes of the fleet.
func (f *fleet) volumesOfDriver() []corev1.PersistentVolume {
	f.Helper()
	all, err := shared.Client.CoreV1().PersistentVolumes().List(f.ctx, metav1.ListOptions{})
	f.must(err)
	var own []corev1.PersistentVolume
	for _, volume := range all.Items {
		if volume.Spec.CSI != nil && volume.Spec.CSI.Driver == f.driver.Name {
			own = append(own, volume)
		}
	}
	return own
}

// takesPods gives a node room for the pods that select the fleet. Other tests' pods
// may come, too, so that none may run at the same time.
func (f *fleet) takesPods(m *member) {
	f.Helper()
	nodes := shared.Client.CoreV1().Nodes()
	f.until("node "+m.name+" takes pods", func() (bool, error) {
		node, err := nodes.Get(f.ctx, m.name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		node.Labels["fleet"] = f.id
		node.Spec.Taints = nil
		node, err = nodes.Update(f.ctx, node, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		node.Status.Allocatable = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("10")}
		node.Status.Capacity = node.Status.Allocatable
		node.Status.Conditions = []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "MadeByHand",
			LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
		}}
		_, err = nodes.UpdateStatus(f.ctx, node, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return false, nil
		}
		return err == nil, err
	})
}

// runs makes a pod of the fleet's nodes.
func (f *fleet) runs(pod *corev1.Pod) {
	f.Helper()
	pod.Spec.NodeSelector = map[string]string{"fleet": f.id}
	f.until("the namespace has a service account", func() (bool, error) {
		_, err := shared.Client.CoreV1().ServiceAccounts(f.id).Get(f.ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	_, err := shared.Client.CoreV1().Pods(f.id).Create(f.ctx, pod, metav1.CreateOptions{})
	f.must(err)
	f.Cleanup(func() { f.deletePod(pod.Name) })
}
