package capacity_test

import (
	"fmt"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/types/known/wrapperspb"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller/capacity"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// had is an object that is there when the controller starts, for a class and a zone.
func had(class, zone string, changes ...func(*storagev1.CSIStorageCapacity)) *storagev1.CSIStorageCapacity {
	o := object(fmt.Sprint("csisc-", class, "-", zone), class, zone)
	for _, change := range changes {
		change(o)
	}
	return o
}

func sized(size string) func(*storagev1.CSIStorageCapacity) {
	return func(o *storagev1.CSIStorageCapacity) {
		quantity := resource.MustParse(size)
		o.Capacity = &quantity
	}
}

func managedBy(manager string) func(*storagev1.CSIStorageCapacity) {
	return func(o *storagev1.CSIStorageCapacity) {
		delete(o.Labels, names.CapacityManagedBy)
		if manager != "" {
			o.Labels[names.CapacityManagedBy] = manager
		}
	}
}

// TestStart: what a start makes of what it finds, for each combination of classes,
// zones and objects. The driver has 10Gi everywhere; writes counts the requests that
// change something.
func TestStart(t *testing.T) {
	type objects = []*storagev1.CSIStorageCapacity
	type list = []string
	for name, test := range map[string]struct {
		zones, classes list
		before         objects
		writes         int
		want           string
	}{
		"nothing at all":          {nil, nil, nil, 0, ""},
		"a zone only":             {list{"a"}, nil, nil, 0, ""},
		"a class only":            {nil, list{"fast"}, nil, 0, ""},
		"one pair":                {list{"a"}, list{"fast"}, nil, 1, "fast/zone=a:10Gi"},
		"kept as it is":           {list{"a"}, list{"fast"}, objects{had("fast", "a")}, 0, "fast/zone=a:10Gi"},
		"another capacity":        {list{"a"}, list{"fast"}, objects{had("fast", "a", sized("1Gi"))}, 1, "fast/zone=a:10Gi"},
		"the class has gone":      {list{"a"}, nil, objects{had("fast", "a")}, 1, ""},
		"the zone has gone":       {nil, list{"fast"}, objects{had("fast", "a")}, 1, ""},
		"both have gone":          {nil, nil, objects{had("fast", "a")}, 1, ""},
		"another class instead":   {list{"a"}, list{"slow"}, objects{had("fast", "a")}, 2, "slow/zone=a:10Gi"},
		"another zone instead":    {list{"b"}, list{"fast"}, objects{had("fast", "a")}, 2, "fast/zone=b:10Gi"},
		"of another manager":      {list{"a"}, list{"fast"}, objects{had("fast", "a", sized("1Gi"), managedBy("somebody"))}, 1, "fast/zone=a:10Gi fast/zone=a:1Gi"},
		"of no manager":           {list{"a"}, list{"fast"}, objects{had("fast", "a", sized("1Gi"), managedBy(""))}, 1, "fast/zone=a:10Gi fast/zone=a:1Gi"},
		"of another node's":       {list{"a"}, list{"fast"}, objects{had("fast", "a", sized("1Gi"), managedBy("external-provisioner-n1"))}, 1, "fast/zone=a:10Gi fast/zone=a:1Gi"},
		"obsolete, of a stranger": {nil, nil, objects{had("fast", "a", managedBy("somebody"))}, 0, "fast/zone=a:10Gi"},
		"a twin": {list{"a"}, list{"fast"}, objects{
			had("fast", "a"), had("fast", "a", func(o *storagev1.CSIStorageCapacity) { o.Name = "twin" }),
		}, 1, "fast/zone=a:10Gi"},
		"two by two": {list{"a", "b"}, list{"fast", "slow"}, nil, 4, "fast/zone=a:10Gi fast/zone=b:10Gi slow/zone=a:10Gi slow/zone=b:10Gi"},
		"two by two, kept": {list{"a", "b"}, list{"fast", "slow"}, objects{
			had("fast", "a"), had("fast", "b"), had("slow", "a"), had("slow", "b"),
		}, 0, "fast/zone=a:10Gi fast/zone=b:10Gi slow/zone=a:10Gi slow/zone=b:10Gi"},
		"two by two, all old": {list{"a", "b"}, list{"fast", "slow"}, objects{
			had("fast", "a", sized("1Gi")), had("fast", "b", sized("2Gi")), had("slow", "a", sized("3Gi")), had("slow", "b", sized("4Gi")),
		}, 4, "fast/zone=a:10Gi fast/zone=b:10Gi slow/zone=a:10Gi slow/zone=b:10Gi"},
		"two by two, of each kind": {list{"a", "b"}, list{"fast", "slow"}, objects{
			had("fast", "a"), had("fast", "b", sized("2Gi")), had("slow", "c"), had("gone", "a"),
		}, 5, "fast/zone=a:10Gi fast/zone=b:10Gi slow/zone=a:10Gi slow/zone=b:10Gi"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				for _, o := range test.before {
					w.put(o.DeepCopy())
				}
				for n, zone := range test.zones {
					w.node(fmt.Sprint("n", n), zone)
				}
				for _, class := range test.classes {
					w.class(class)
				}
				w.run()
				w.expect("at the start", len(test.zones)*len(test.classes), test.writes)
				w.expectState("at the start", test.want)
				w.pass(pollInterval)
				w.expect("after a poll", len(test.zones)*len(test.classes), 0)
			})
		})
	}
}

// TestOwnerIsAdded: to what was made without, or for another one, and once.
func TestOwnerIsAdded(t *testing.T) {
	yes := true
	owner := metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "driver", UID: "mine", Controller: &yes}
	for name, test := range map[string]struct {
		before []metav1.OwnerReference
		writes int
		want   []string
	}{
		"none":        {nil, 1, []string{"mine"}},
		"another one": {[]metav1.OwnerReference{{UID: "other"}}, 1, []string{"other", "mine"}},
		"this one":    {[]metav1.OwnerReference{owner}, 0, []string{"mine"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.put(had("fast", "a", func(o *storagev1.CSIStorageCapacity) { o.OwnerReferences = test.before }))
				w.node("n1", "a")
				w.node("n2", "b")
				w.class("fast")
				w.run()
				w.expect("at the start", 2, test.writes+1)
				var got []string
				for _, ref := range w.stored["csisc-fast-a"].OwnerReferences {
					got = append(got, string(ref.UID))
				}
				if fmt.Sprint(got) != fmt.Sprint(test.want) {
					t.Errorf("the owners are %q, want %q", got, test.want)
				}
				for name, o := range w.stored {
					if name != "csisc-fast-a" && (len(o.OwnerReferences) != 1 || o.OwnerReferences[0].UID != "mine") {
						t.Errorf("the owners of the new one are %v", o.OwnerReferences)
					}
				}
				w.pass(pollInterval)
				w.expect("after a poll", 2, 0)
			}, func(c *capacity.Config) { c.Owner = &owner })
		})
	}
}

// TestMaximumVolumeSize comes, changes and goes with the driver's answers.
func TestMaximumVolumeSize(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.node("n1", "a")
		w.class("fast")
		w.run()
		for _, gib := range []int64{2, 3, 0} {
			w.reports(func(*csipb.GetCapacityRequest) (*csipb.GetCapacityResponse, error) {
				answer := &csipb.GetCapacityResponse{AvailableCapacity: 10 << 30}
				if gib > 0 {
					answer.MaximumVolumeSize = wrapperspb.Int64(gib << 30)
				}
				return answer, nil
			})
			w.pass(pollInterval)
			largest := w.AllCapacities()[0].MaximumVolumeSize
			if (largest != nil) != (gib > 0) || largest != nil && largest.Value() != gib<<30 {
				t.Errorf("the largest volume has %v, want %d GiB", largest, gib)
			}
		}
	})
}
