package kube

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

func capacityOf(namespace, name, driver, class string) *storagev1.CSIStorageCapacity {
	size := apiresource.MustParse("1Gi")
	return &storagev1.CSIStorageCapacity{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID("uid-" + name), ResourceVersion: "7",
			Labels:        map[string]string{names.CapacityDriver: driver, names.CapacityManagedBy: names.CapacityManager},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "x"}},
		},
		StorageClassName: class, Capacity: &size,
	}
}

// withCapacity is a driver without topology whose capacity is published.
func withCapacity() Driver {
	return Driver{Name: driverName, Classes: true, Capacity: &CapacityScope{
		Namespace: "ns", Driver: driverName, ManagedBy: names.CapacityManager,
		Pair: func(object *storagev1.CSIStorageCapacity) string { return "pair " + object.StorageClassName },
	}}
}

func TestOwnCapacitiesAreWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		foreign := capacityOf("ns", "foreign", driverName, "fast")
		foreign.Labels[names.CapacityManagedBy] = "somebody"
		c := newCluster(t, withCapacity(),
			capacityOf("ns", "a", driverName, "fast"), capacityOf("ns", "b", driverName, "fast"), capacityOf("ns", "c", driverName, "slow"),
			capacityOf("other", "d", driverName, "fast"), capacityOf("ns", "e", "other.csi.example", "fast"), foreign)
		c.run(t)
		var got []string
		found, err := c.CapacitiesFor("pair fast")
		for _, object := range found {
			got = append(got, object.Name)
			if object.ManagedFields != nil {
				t.Errorf("%s is stored with its managedFields", object.Name)
			}
		}
		slices.Sort(got)
		if err != nil || !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("for class fast there are %q, %v", got, err)
		}
		if n := len(c.AllCapacities()); n != 3 {
			t.Errorf("there are %d objects, want 3", n)
		}
	})
}

// observer notes what it is told.
type observer struct {
	mu   sync.Mutex
	told []string
}

func (o *observer) tell(what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, what)
}

func (o *observer) SetNode(name string, labels map[string]string) {
	o.tell("node " + name + " " + labels["zone"])
}
func (o *observer) DeleteNode(name string)         { o.tell("no node " + name) }
func (o *observer) DeleteRegistration(name string) { o.tell("no registration " + name) }
func (o *observer) SetRegistration(name string, keys []string, registered bool) {
	if !registered {
		o.tell("not on " + name)
		return
	}
	o.tell("on " + name + " " + strings.Join(keys, ","))
}

// TestNodesAreToldOf, also for a driver without topology.
func TestNodesAreToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		without := registration("n3")
		without.Spec.Drivers[0].Name = "other.csi.example"
		c := newCluster(t, withCapacity(), node("n1", "a"), registration("n1", "zone"), registration("n2"), without)
		told := &observer{}
		if err := c.FeedNodes(told, driverName); err != nil {
			t.Fatal(err)
		}
		c.run(t)
		if err := c.core.StorageV1().CSINodes().Delete(t.Context(), "n1", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		told.mu.Lock()
		defer told.mu.Unlock()
		last := told.told[len(told.told)-1]
		slices.Sort(told.told)
		if want := []string{"no registration n1", "node n1 a", "not on n3", "on n1 zone", "on n2 "}; !slices.Equal(told.told, want) || last != want[0] {
			t.Errorf("told was %q, want %q", told.told, want)
		}
	})
}

func TestCapacitiesAreWritten(t *testing.T) {
	ctx, client := t.Context(), fake.NewClientset()
	port := NewCapacities(client)
	object := capacityOf("ns", "a", driverName, "fast")
	if err := port.Create(ctx, object); err != nil {
		t.Fatal(err)
	}
	if err := port.Create(ctx, object); !apierrors.IsAlreadyExists(err) || !strings.Contains(err.Error(), "creating CSIStorageCapacity ns/a") {
		t.Errorf("creating it again: %v", err)
	}
	read, err := port.Get(ctx, "ns", "a")
	if err != nil {
		t.Fatal(err)
	}
	to := read.DeepCopy()
	size := apiresource.MustParse("2Gi")
	to.Capacity = &size
	client.ClearActions()
	patched, err := port.Patch(ctx, read, to)
	if err != nil || patched.Capacity.Cmp(size) != 0 {
		t.Fatalf("the patched object is %v, %v", patched, err)
	}
	patch := string(client.Actions()[0].(clienttesting.PatchAction).GetPatch())
	for _, want := range []string{`"uid":"uid-a"`, `"resourceVersion":"7"`, `"capacity":"2Gi"`} {
		if !strings.Contains(patch, want) {
			t.Errorf("the patch %s lacks %s", patch, want)
		}
	}
	client.ClearActions()
	if same, err := port.Patch(ctx, to, to); err != nil || same != to || len(client.Actions()) > 0 {
		t.Errorf("a patch without a difference sends %v: %v", client.Actions(), err)
	}
	if err := port.Delete(ctx, to); err != nil {
		t.Fatal(err)
	}
	if uid := client.Actions()[0].(clienttesting.DeleteAction).GetDeleteOptions().Preconditions.UID; uid == nil || *uid != "uid-a" {
		t.Errorf("the delete's precondition is %v", uid)
	}
	if err := port.Delete(ctx, to); err != nil {
		t.Errorf("deleting it again: %v", err)
	}
	if _, err := port.Get(ctx, "ns", "a"); !apierrors.IsNotFound(err) {
		t.Errorf("reading it then: %v", err)
	}
}

func TestCapacityRightsAreNamed(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("*", "csistoragecapacities", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(storagev1.Resource("csistoragecapacities"), "a", nil)
	})
	port, object := NewCapacities(client), capacityOf("ns", "a", driverName, "fast")
	to := object.DeepCopy()
	to.Capacity = nil
	_, patching := port.Patch(t.Context(), object, to)
	for doing, err := range map[string]error{"creating": port.Create(t.Context(), object), "changing": patching, "deleting": port.Delete(t.Context(), object)} {
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), doing) || !strings.Contains(err.Error(), `csistoragecapacities in namespace "ns"`) {
			t.Errorf("%s: %v", doing, err)
		}
	}
}
