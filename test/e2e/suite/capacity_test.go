package suite

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// The labels of the objects; see external-provisioner.
const (
	capacityDriver    = "csi.storage.k8s.io/drivername"
	capacityManagedBy = "csi.storage.k8s.io/managed-by"
	capacityManager   = "external-provisioner"
)

// publishing are the flags by which capacities are published; as long as the test
// runs there is no poll.
func publishing(flags ...string) []string {
	return append([]string{"--enable-capacity", "--capacity-ownerref-level=-1", "--capacity-poll-interval=1h", soon}, flags...)
}

// capacities returns the objects for the scene's driver.
func (s *scene) capacities() []storagev1.CSIStorageCapacity {
	s.Helper()
	list, err := shared.Client.StorageV1().CSIStorageCapacities(metav1.NamespaceDefault).List(s.ctx, metav1.ListOptions{LabelSelector: capacityDriver + "=" + s.driver.Name})
	s.must(err)
	return list.Items
}

// capacityByPlace returns the objects as class@place: capacity, or capacities in order
// where there are several for one place.
func (s *scene) capacityByPlace() map[string]string {
	s.Helper()
	all := map[string][]string{}
	for _, object := range s.capacities() {
		class := strings.TrimPrefix(object.StorageClassName, s.id+"-")
		key := class + "@" + object.NodeTopology.MatchLabels[s.driver.TopologyKey]
		all[key] = append(all[key], object.Capacity.String())
	}
	found := map[string]string{}
	for key, capacities := range all {
		slices.Sort(capacities)
		found[key] = strings.Join(capacities, " ")
	}
	return found
}

// publishes waits until just that is published.
func (s *scene) publishes(want map[string]string) {
	s.Helper()
	var diff string
	s.Cleanup(func() {
		if s.Failed() && diff != "" {
			s.Logf("the capacities (-want +got):\n%s", diff)
		}
	})
	s.until(fmt.Sprintf("the capacities are %v", want), func() (bool, error) {
		diff = cmp.Diff(want, s.capacityByPlace())
		return diff == "", nil
	})
}

// capacityObject makes an object as external-provisioner has it.
func (s *scene) capacityObject(name, class, place string, change func(*storagev1.CSIStorageCapacity)) *storagev1.CSIStorageCapacity {
	s.Helper()
	object := &storagev1.CSIStorageCapacity{
		ObjectMeta:       metav1.ObjectMeta{Name: name, Labels: map[string]string{capacityDriver: s.driver.Name, capacityManagedBy: capacityManager}},
		StorageClassName: class,
		NodeTopology:     &metav1.LabelSelector{MatchLabels: map[string]string{s.driver.TopologyKey: place}},
		Capacity:         oneGi(),
	}
	if change != nil {
		change(object)
	}
	made, err := shared.Client.StorageV1().CSIStorageCapacities(metav1.NamespaceDefault).Create(s.ctx, object, metav1.CreateOptions{})
	s.must(err)
	return made
}

// removeCapacities takes away what the sidecar leaves behind in the end.
func (s *scene) removeCapacities() {
	s.Cleanup(func() {
		_ = shared.Client.StorageV1().CSIStorageCapacities(metav1.NamespaceDefault).DeleteCollection(context.WithoutCancel(s.ctx),
			metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: capacityDriver + "=" + s.driver.Name})
	})
}

// TestCapacity: an object for each class with WaitForFirstConsumer and each place, once; it
// follows the volumes that come and go there, the nodes and the classes.
func TestCapacity(t *testing.T) {
	t.Parallel()
	s := newScene(t, "--capacity=10Gi", "--max-volume-size=8Gi")
	s.removeCapacities()
	node := shared.Cluster.NodeName()
	s.rack("aaa")
	late := s.class("late", map[string]string{"tier": "gold", "csi.storage.k8s.io/fstype": "xfs"}, lateBinding)
	s.class("immediate", nil)
	sidecar := s.sidecar(publishing("--feature-gates=Topology=true")...)
	s.publishes(map[string]string{"late@aaa": "10Gi", "late@" + node: "10Gi"})
	calls := s.calls("GetCapacity", 2)
	if len(calls) != 2 {
		t.Errorf("GetCapacity was called %d times", len(calls))
	}
	var request csipb.GetCapacityRequest
	s.must(calls[0].DecodeRequest(&request))
	if diff := cmp.Diff(map[string]string{"tier": "gold"}, request.GetParameters()); diff != "" || len(request.GetVolumeCapabilities()) > 0 {
		t.Errorf("the driver was asked with %v", &request)
	}
	largest := resource.MustParse("8Gi")
	for _, object := range s.capacities() {
		if object.Labels[capacityManagedBy] != capacityManager || len(object.OwnerReferences) > 0 || object.StorageClassName != late ||
			object.MaximumVolumeSize == nil || object.MaximumVolumeSize.Cmp(largest) != 0 || !strings.HasPrefix(object.Name, "csisc-") {
			t.Errorf("there is the object %v", object)
		}
	}

	claim := s.claim("claim", late)
	s.pod("pod", claim)
	volume := s.boundToOne(claim)
	s.publishes(map[string]string{"late@aaa": "10Gi", "late@" + node: "9Gi"})
	s.deletePod("pod")
	s.deleteClaim("claim")
	s.volumeGone(volume.Name)
	s.publishes(map[string]string{"late@aaa": "10Gi", "late@" + node: "10Gi"})

	s.rack("zzz")
	s.publishes(map[string]string{"late@aaa": "10Gi", "late@" + node: "10Gi", "late@zzz": "10Gi"})
	s.must(shared.Client.CoreV1().Nodes().Delete(s.ctx, s.id+"-aaa", metav1.DeleteOptions{}))
	s.publishes(map[string]string{"late@" + node: "10Gi", "late@zzz": "10Gi"})
	s.class("second", nil, lateBinding)
	s.publishes(map[string]string{"late@" + node: "10Gi", "late@zzz": "10Gi", "second@" + node: "10Gi", "second@zzz": "10Gi"})
	s.must(shared.Client.StorageV1().StorageClasses().Delete(s.ctx, late, metav1.DeleteOptions{}))
	s.publishes(map[string]string{"second@" + node: "10Gi", "second@zzz": "10Gi"})

	// The informer shows a moment later that an object has gone.
	for _, want := range []string{"csistoragecapacities_desired_goal 2", "csistoragecapacities_desired_current 2", "csistoragecapacities_obsolete 0"} {
		s.until("the metrics have "+want, func() (bool, error) {
			_, metrics, err := sidecar.Get("/metrics")
			return strings.Contains(metrics, "\n"+want+"\n"), err
		})
	}
}

// TestCapacityForImmediateBinding, with a driver without topology.
func TestCapacityForImmediateBinding(t *testing.T) {
	t.Parallel()
	s := newScene(t, "--capacity=10Gi", "--plugin-capabilities=*,-VOLUME_ACCESSIBILITY_CONSTRAINTS")
	s.removeCapacities()
	s.class("late", nil, lateBinding)
	s.class("immediate", nil)
	s.sidecar(publishing("--capacity-for-immediate-binding", "--capacity-threads=2")...)
	s.publishes(map[string]string{"late@" + s.ownPlace(): "10Gi", "immediate@" + s.ownPlace(): "10Gi"})
}

// ownPlace is that of the driver's only node: none where the driver registers no
// topology key.
func (s *scene) ownPlace() string {
	s.Helper()
	node := shared.Cluster.NodeName()
	registered, err := shared.Client.StorageV1().CSINodes().Get(s.ctx, node, metav1.GetOptions{})
	s.must(err)
	for _, entry := range registered.Spec.Drivers {
		if entry.Name == s.driver.Name && len(entry.TopologyKeys) > 0 {
			return node
		}
	}
	return ""
}

// TestCapacityTakesOver: what external-provisioner has published is kept and
// corrected, what it has published too much of goes, and others' objects stay.
func TestCapacityTakesOver(t *testing.T) {
	t.Parallel()
	s := newScene(t, "--capacity=10Gi")
	s.removeCapacities()
	node := shared.Cluster.NodeName()
	class := s.class("late", nil, lateBinding)
	kept := s.capacityObject("csisc-"+s.id+"-a", class, node, nil)
	s.capacityObject("csisc-"+s.id+"-b", class, node, nil)
	s.capacityObject("csisc-"+s.id+"-c", class, "nowhere", nil)
	s.capacityObject("csisc-"+s.id+"-d", s.id+"-gone", node, nil)
	foreign := s.capacityObject("csisc-"+s.id+"-e", class, "elsewhere", func(o *storagev1.CSIStorageCapacity) { o.Labels[capacityManagedBy] = "somebody" })
	s.sidecar(publishing()...)
	s.publishes(map[string]string{"late@" + node: "10Gi", "late@elsewhere": "1Gi"})
	uids := map[string]bool{}
	for _, object := range s.capacities() {
		uids[string(object.UID)] = true
	}
	if !uids[string(kept.UID)] || !uids[string(foreign.UID)] {
		t.Errorf("there are the objects %v, want %s and %s", uids, kept.UID, foreign.UID)
	}

	// What somebody deletes is made again.
	s.must(shared.Client.StorageV1().CSIStorageCapacities(metav1.NamespaceDefault).Delete(s.ctx, kept.Name, metav1.DeleteOptions{}))
	s.publishes(map[string]string{"late@" + node: "10Gi", "late@elsewhere": "1Gi"})
	// So is one that has lost its label, which is left alone then.
	var own string
	for _, object := range s.capacities() {
		if object.Labels[capacityManagedBy] == capacityManager {
			own = object.Name
		}
	}
	s.apply(fmt.Sprintf("apiVersion: storage.k8s.io/v1\nkind: CSIStorageCapacity\nmetadata: {name: %s, namespace: default, labels: {%s: somebody}}\nstorageClassName: %s\ncapacity: 2Gi", own, capacityManagedBy, class))
	s.publishes(map[string]string{"late@" + node: "10Gi 2Gi", "late@elsewhere": "1Gi"})
}

// TestCapacityOwner: the objects go with the Deployment of the sidecar's pod.
func TestCapacityOwner(t *testing.T) {
	t.Parallel()
	s := newScene(t, "--capacity=10Gi")
	s.removeCapacities()
	s.class("late", nil, lateBinding)
	deployments, labels := shared.Client.AppsV1().Deployments(metav1.NamespaceDefault), "app="+s.id
	s.apply(fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %s, namespace: default}
spec:
  replicas: 3
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      nodeSelector: {nobody: has-this}
      containers: [{name: csi-provisioner, image: csi-provisioner}]
`, s.id))
	background := metav1.DeletePropagationBackground
	remove := func() error {
		return deployments.Delete(context.WithoutCancel(s.ctx), s.id, metav1.DeleteOptions{PropagationPolicy: &background})
	}
	s.Cleanup(func() { _ = remove() })
	var pods *corev1.PodList
	s.until("the deployment has its pods", func() (bool, error) {
		var err error
		pods, err = shared.Client.CoreV1().Pods(metav1.NamespaceDefault).List(s.ctx, metav1.ListOptions{LabelSelector: labels})
		return err == nil && len(pods.Items) == 3, err
	})
	deployment, err := deployments.Get(s.ctx, s.id, metav1.GetOptions{})
	s.must(err)
	sets, err := shared.Client.AppsV1().ReplicaSets(metav1.NamespaceDefault).List(s.ctx, metav1.ListOptions{LabelSelector: labels})
	s.must(err)

	node, yes := shared.Cluster.NodeName(), true
	pod := pods.Items[0]
	for i, level := range []struct {
		flag  string
		owner metav1.OwnerReference
	}{
		{"--capacity-ownerref-level=0", metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID, Controller: &yes}},
		{"--capacity-ownerref-level=1", metav1.OwnerReference{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: sets.Items[0].Name, UID: sets.Items[0].UID, Controller: &yes}},
		{"--capacity-ownerref-level=2", metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: s.id, UID: deployment.UID, Controller: &yes}},
	} {
		sidecar := s.namedSidecar(pods.Items[i].Name, publishing(level.flag)...)
		s.publishes(map[string]string{"late@" + node: "10Gi"})
		if diff := cmp.Diff([]metav1.OwnerReference{level.owner}, s.capacities()[0].OwnerReferences); diff != "" {
			t.Errorf("%s: the owner (-want +got):\n%s", level.flag, diff)
		}
		s.must(sidecar.Kill())
		if level.owner.Kind != "Deployment" {
			s.must(shared.Client.StorageV1().CSIStorageCapacities(metav1.NamespaceDefault).Delete(s.ctx, s.capacities()[0].Name, metav1.DeleteOptions{}))
		}
	}
	s.must(remove())
	s.publishes(map[string]string{})
}

// TestCapacityForTheScheduler: a pod waits until there is enough capacity for its
// volume, of which the driver tells with the next poll.
func TestCapacityForTheScheduler(t *testing.T) {
	t.Parallel()
	s := newScene(t, "--capacity=10Gi")
	s.removeCapacities()
	yes, no := true, false
	_, err := shared.Client.StorageV1().CSIDrivers().Create(s.ctx, &storagev1.CSIDriver{
		ObjectMeta: metav1.ObjectMeta{Name: s.driver.Name}, Spec: storagev1.CSIDriverSpec{StorageCapacity: &yes, AttachRequired: &no},
	}, metav1.CreateOptions{})
	s.must(err)
	enough := s.rule(control.Rule{Match: control.Match{Method: "GetCapacity"}, CapacityDelta: -(10<<30 - 1)})
	class := s.class("late", nil, lateBinding)
	s.sidecar(publishing("--capacity-poll-interval=500ms")...)
	node := shared.Cluster.NodeName()
	s.publishes(map[string]string{"late@" + node: "1"})
	claim := s.claim("claim", class)
	s.pod("pod", claim)
	s.event(s.id, "pod", "FailedScheduling", "enough free storage")
	s.untouched(claim)
	enough()
	s.boundToOne(claim)
	s.publishes(map[string]string{"late@" + node: "9Gi"})
}

// TestCapacityFailure: the driver's error is reported on the class, and fixed by
// itself.
func TestCapacityFailure(t *testing.T) {
	t.Parallel()
	s := newScene(t, "--capacity=10Gi")
	s.removeCapacities()
	fix := s.rule(control.Rule{Match: control.Match{Method: "GetCapacity"}, Code: codes.ResourceExhausted, Message: "the array is tired"})
	class := s.class("late", nil, lateBinding)
	s.sidecar(publishing()...)
	s.event(metav1.NamespaceDefault, class, "StorageCapacityFailed", "ResourceExhausted: the array is tired")
	s.publishes(map[string]string{})
	fix()
	s.publishes(map[string]string{"late@" + shared.Cluster.NodeName(): "10Gi"})

	// The scheduler has been told too much: the driver is asked again.
	told := len(s.calls("GetCapacity", 0))
	s.rule(control.Rule{Match: control.Match{Method: "CreateVolume"}, Code: codes.ResourceExhausted, Message: "no room"})
	s.pod("pod", s.claim("claim", class))
	s.calls("GetCapacity", told+1)
}

// TestCapacityOff: what is not published is not read either.
func TestCapacityOff(t *testing.T) {
	t.Parallel()
	s := newScene(t, "--capacity=10Gi", "--plugin-capabilities=*,-VOLUME_ACCESSIBILITY_CONSTRAINTS")
	class := s.class("late", nil, lateBinding)
	p := s.proxy()
	s.sidecar(stage.Through(p), "--capacity-for-immediate-binding")
	s.boundToOne(s.claim("claim", s.class("immediate", nil)))
	if got := p.Reads(proxy.Match{Path: "csistoragecapacities|/pods|replicasets|/nodes|csinodes"}); len(got) > 0 {
		t.Errorf("read were %q", got)
	}
	if len(s.capacities()) > 0 {
		t.Errorf("capacities for class %s are published", class)
	}
	if calls, err := s.driver.Control.Calls(s.ctx, control.Filter{Method: "GetCapacity"}); err != nil || len(calls) > 0 {
		t.Errorf("GetCapacity was called %d times, %v", len(calls), err)
	}
}
