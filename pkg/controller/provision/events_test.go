package provision

import (
	"testing"

	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

func TestWants(t *testing.T) {
	stamp := metav1.Unix(1_700_000_000, 0)
	of := func(driver string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "claim", UID: "1", ResourceVersion: "1",
			Annotations: map[string]string{names.StorageProvisioner: driver},
		}}
	}
	changed := func(change func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
		claim := of(driverName)
		claim.ResourceVersion = "2"
		change(claim)
		return claim
	}
	ours, foreign := of(driverName), of("other.example")
	unmanaged := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "claim", UID: "1"}}
	cases := map[string]struct {
		old, now *corev1.PersistentVolumeClaim
		want     bool
	}{
		"appears":            {nil, ours, true},
		"appears, bound":     {nil, changed(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "v" }), false},
		"appears, foreign":   {nil, foreign, false},
		"appears, unmanaged": {nil, unmanaged, false},
		"becomes ours":       {unmanaged, ours, true},
		"was ours":           {ours, foreign, true},
		"foreign":            {foreign, foreign, false},
		"nothing changes":    {ours, changed(func(*corev1.PersistentVolumeClaim) {}), false},
		"status changes": {ours, changed(func(c *corev1.PersistentVolumeClaim) {
			c.Status.Phase = corev1.ClaimPending
			c.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{Type: "X"}}
		}), false},
		"labels change":     {ours, changed(func(c *corev1.PersistentVolumeClaim) { c.Labels = map[string]string{"a": "b"} }), false},
		"finalizers change": {ours, changed(func(c *corev1.PersistentVolumeClaim) { c.Finalizers = []string{"a"} }), false},
		"is bound":          {ours, changed(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "v" }), true},
		"node is selected":  {ours, changed(selectNode("n1")), true},
		"size changes": {ours, changed(func(c *corev1.PersistentVolumeClaim) {
			c.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("2Gi")}
		}), true},
		"is being deleted": {ours, changed(func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &stamp }), true},
		"is replaced":      {ours, changed(func(c *corev1.PersistentVolumeClaim) { c.UID = "2" }), true},
	}
	for name, c := range cases {
		if got := Wants(provision.Driver{Name: driverName}, c.old, c.now); got != c.want {
			t.Errorf("%s: Wants = %t, want %t", name, got, c.want)
		}
	}
}

func TestProvisioningIsAnnouncedOnce(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{failsWith(codes.Unavailable), failsWith(codes.OutOfRange), failsWith(codes.Internal)}
	for range 3 {
		w.fails()
	}
	w.works()
	announced := 0
	for _, event := range w.events.all {
		if event == creating {
			announced++
		}
	}
	if announced != 1 {
		t.Errorf("the creation is announced %d times, want once: %q", announced, w.events.all)
	}
	w.settled()
}

// A claim that has been given up is not remembered indefinitely.
func TestAnnouncementIsForgottenWithTheClaim(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{failsWith(codes.OutOfRange)}
	w.fails()
	w.deleteClaim()
	w.works()
	w.settled()
}

func TestKeys(t *testing.T) {
	key := KeyOf(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "claim", UID: "1"}})
	if want := (Key{Namespace: "ns", Name: "claim", UID: "1"}); key != want {
		t.Errorf("KeyOf = %v, want %v", key, want)
	}
	if key.String() != "ns/claim (1)" {
		t.Errorf("the key is printed as %q", key)
	}
	dependencies := map[controller.Dependency]bool{controller.ClassChanged("a"): true, controller.ClassChanged("b"): true, TopologyChanged(): true, controller.DriverReconnected(): true}
	if len(dependencies) != 4 {
		t.Errorf("the dependencies can't be told apart: %v", dependencies)
	}
}
