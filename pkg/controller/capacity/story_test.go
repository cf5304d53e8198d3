package capacity_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller/capacity"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/capacity"
)

// small has two zones and the class fast.
func (w *world) small() *storagev1.StorageClass {
	w.node("n1", "a")
	w.node("n2", "b")
	return w.class("fast")
}

func TestClassesComeAndGo(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.run()
		w.node("n1", "a")
		w.pass(0)
		w.expectState("without a class", "")
		class := w.class("fast")
		w.class("immediate", bindsAtOnce)
		w.pass(0)
		w.expectState("with a class", "fast/zone=a:10Gi")
		w.class("fast", func(c *storagev1.StorageClass) { c.Labels = map[string]string{"new": "label"} })
		w.pass(0)
		w.expect("with a label", 1, 1)
		w.class("fast", func(c *storagev1.StorageClass) { c.UID = "another" })
		w.pass(0)
		w.expect("with another class of the same name", 1, 0)
		w.class("fast", func(c *storagev1.StorageClass) { c.UID = "a third"; bindsAtOnce(c) })
		w.pass(0)
		w.expectState("with one that binds at once", "")
		w.class("fast", func(c *storagev1.StorageClass) { c.UID = "a fourth" })
		w.pass(0)
		w.removeClass(class)
		w.pass(0)
		w.expectState("when it has gone", "")
	})
}

func TestImmediateBindingIfAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.small()
		w.class("immediate", bindsAtOnce)
		w.run()
		w.expectState("at the start", "fast/zone=a:10Gi fast/zone=b:10Gi immediate/zone=a:10Gi immediate/zone=b:10Gi")
	}, func(c *capacity.Config) { c.Immediate = true })
}

func TestSegmentsComeAndGo(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.small()
		w.run()
		w.expect("at the start", 2, 2)
		w.node("n3", "b")
		w.DeleteNode("n2")
		w.pass(0)
		w.expect("with another node in the segment", 0, 0)
		w.node("n3", "c")
		w.pass(0)
		w.expectState("when a node moves", "fast/zone=a:10Gi fast/zone=c:10Gi")
		w.DeleteRegistration("n3")
		w.pass(0)
		w.expectState("when the driver has gone", "fast/zone=a:10Gi")
		w.SetRegistration("n1", nil, false)
		w.pass(0)
		w.expectState("when the driver has gone from everywhere", "")
	})
}

func TestDriverWithoutTopology(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.SetNode("n1", nil)
		w.SetRegistration("n1", nil, true)
		w.class("fast")
		w.run()
		w.expectState("at the start", "fast/:10Gi")
		w.VolumeChanged(nil, volume(""))
		w.pass(0)
		w.expect("with a volume", 2, 1)
		w.Exhausted(&csipb.CreateVolumeRequest{})
		w.pass(0)
		w.expect("when it is exhausted", 1, 0)
	}, func(c *capacity.Config) { c.Topology = false })
}

// TestOwnObjectsAreBroughtInOrder: what is one too many goes, at once and without
// a question to the driver; what is not our own stays.
func TestOwnObjectsAreBroughtInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.put(object("first", "fast", "a"))
		time.Sleep(time.Second)
		w.put(object("second", "fast", "a"))
		w.put(object("of-a-class-that-has-gone", "slow", "a"))
		w.put(object("of-a-zone-that-has-gone", "fast", "z"))
		odd := object("odd", "fast", "a")
		odd.NodeTopology = nil
		w.put(odd)
		foreign := object("foreign", "fast", "a")
		foreign.Labels["csi.storage.k8s.io/managed-by"] = "somebody"
		w.put(foreign)
		w.small()
		if got, want := w.Counts(), (capacity.Counts{Goal: 2, Current: 1, Obsolete: 4}); got != want {
			t.Errorf("before the start, counted are %+v, want %+v", got, want)
		}
		w.run()
		w.expect("at the start", 2, 5)
		if got := slices.Sorted(maps.Keys(w.stored)); !slices.Contains(got, "first") || !slices.Contains(got, "foreign") || len(got) != 3 {
			t.Errorf("there are %q", got)
		}
		w.put(object("late", "fast", "b"))
		w.pass(0)
		w.expect("with another one", 0, 1)
		if got, want := w.Counts(), (capacity.Counts{Goal: 2, Current: 2}); got != want {
			t.Errorf("in the end, counted are %+v, want %+v", got, want)
		}
	})
}

func TestObjectsThatOthersDelete(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.small()
		w.run()
		w.expect("at the start", 2, 2)
		w.remove(w.AllCapacities()[0])
		w.pass(0)
		w.expect("when one was deleted", 1, 1)
		w.expectState("when one was deleted", "fast/zone=a:10Gi fast/zone=b:10Gi")
	})
}

// TestLabelsThatOthersTakeOff: the object is no longer ours, but in the way.
func TestLabelsThatOthersTakeOff(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.node("n1", "a")
		w.class("fast")
		w.run()
		taken := w.AllCapacities()[0].DeepCopy()
		taken.Labels = nil
		w.mu.Lock()
		w.store(taken)
		w.mu.Unlock()
		w.hide(taken)
		w.has(5)
		w.pass(0)
		w.expectState("with the labels gone", "fast/zone=a:10Gi fast/zone=a:5Gi")
		w.pass(pollInterval)
		w.expectState("after a poll", "fast/zone=a:10Gi fast/zone=a:5Gi")
	})
}

// TestInformerIsBehind: what was written is not written again, and what exists is
// not made again.
func TestInformerIsBehind(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.put(object("old", "fast", "a"))
		w.small()
		w.mu.Lock()
		w.behind = true
		w.mu.Unlock()
		w.has(5)
		w.run()
		w.expect("at the start", 2, 2) // a patch in zone a, a new one in b
		w.pass(pollInterval)
		w.expect("at the same capacity", 2, 1) // a try to make the one in b
		w.has(6)
		w.pass(pollInterval)
		w.expect("at another capacity", 2, 3) // that, and two patches
		w.expectState("at another capacity", "fast/zone=a:6Gi fast/zone=b:6Gi")
	})
}

func TestConflict(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		old := w.put(object("old", "fast", "a"))
		w.node("n1", "a")
		w.class("fast")
		w.run()
		changed := old.DeepCopy()
		changed.Annotations = map[string]string{"by": "somebody"}
		w.mu.Lock()
		w.store(changed) // which the informer does not show yet
		w.mu.Unlock()
		w.has(5)
		w.expect("at the start", 1, 0)
		w.pass(pollInterval)
		w.expect("after a poll", 1, 2) // the refused patch, and the right one
		w.expectState("after a poll", "fast/zone=a:5Gi")
		if w.stored["old"].Annotations["by"] != "somebody" {
			t.Error("another's change is lost")
		}
	})
}

// TestVolumesTakeAndGiveCapacity: the driver is asked again at the places of a
// volume, for all classes.
func TestVolumesTakeAndGiveCapacity(t *testing.T) {
	other := volume("a")
	other.Spec.CSI.Driver = "other.csi.example"
	inTree := volume("a")
	inTree.Spec.CSI = nil
	large := volume("a")
	large.Spec.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("2Gi")}
	for name, test := range map[string]struct {
		tell  func(*world)
		calls string
	}{
		"a new one":                     {func(w *world) { w.VolumeChanged(nil, volume("a")) }, "fast/a slow/a"},
		"several at once":               {func(w *world) { w.VolumeChanged(nil, volume("a")); w.VolumeChanged(nil, volume("a")) }, "fast/a slow/a"},
		"one that has gone":             {func(w *world) { w.VolumeGone(volume("b")) }, "fast/b slow/b"},
		"one that changes":              {func(w *world) { w.VolumeChanged(volume("a"), volume("a")) }, ""},
		"one that is expanded":          {func(w *world) { w.VolumeChanged(volume("a"), large) }, "fast/a slow/a"},
		"one that can be everywhere":    {func(w *world) { w.VolumeChanged(nil, volume("")) }, "fast/a fast/b"},
		"one where there is no node":    {func(w *world) { w.VolumeChanged(nil, volume("z")) }, ""},
		"another driver's":              {func(w *world) { w.VolumeChanged(nil, other); w.VolumeGone(inTree) }, ""},
		"exhausted at the first choice": {func(w *world) { w.Exhausted(asked("b", "a")) }, "fast/b slow/b"},
		"exhausted without topology":    {func(w *world) { w.Exhausted(&csipb.CreateVolumeRequest{}) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.small()
				w.class("slow")
				w.run()
				w.expect("at the start", 4, 4)
				w.has(9)
				test.tell(w)
				w.pass(0)
				var calls []string
				for pair := range w.calls {
					calls = append(calls, pair)
				}
				slices.Sort(calls)
				if got := strings.Join(calls, " "); got != test.calls {
					t.Errorf("the driver was asked for %q, want %q", got, test.calls)
				}
			})
		})
	}
}

func asked(zones ...string) *csipb.CreateVolumeRequest {
	request := &csipb.CreateVolumeRequest{AccessibilityRequirements: &csipb.TopologyRequirement{}}
	for _, zone := range zones {
		request.AccessibilityRequirements.Preferred = append(request.AccessibilityRequirements.Preferred, &csipb.Topology{Segments: map[string]string{"zone": zone}})
	}
	slices.Sort(zones)
	for _, zone := range zones {
		request.AccessibilityRequirements.Requisite = append(request.AccessibilityRequirements.Requisite, &csipb.Topology{Segments: map[string]string{"zone": zone}})
	}
	return request
}

// TestDriverFails: what was published stays, the class has an event, and the
// driver is asked again after a back-off.
func TestDriverFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.put(object("old", "fast", "a"))
		w.small()
		w.reports(func(*csipb.GetCapacityRequest) (*csipb.GetCapacityResponse, error) {
			return nil, status.Error(codes.ResourceExhausted, "the array is tired")
		})
		w.run()
		w.expect("at the start", 2, 0)
		w.expectState("at the start", "fast/zone=a:10Gi")
		slices.Sort(w.events)
		for i, zone := range []string{"zone=a", "zone=b"} {
			want := `fast: asking CSI driver "block.csi.example" for the capacity for StorageClass "fast" in topology ` + zone + `: ResourceExhausted: the array is tired`
			if len(w.events) != 2 || w.events[i] != want {
				t.Errorf("the events are %q, want %q", w.events, want)
			}
		}
		w.has(7)
		w.pass(retryStart)
		w.expect("after the first back-off", 2, 2)
		w.expectState("after the first back-off", "fast/zone=a:7Gi fast/zone=b:7Gi")
	})
}

func TestDriverSpeaksNonsense(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.small()
		w.has(-1)
		w.run()
		w.expectState("at the start", "")
		if len(w.events) != 2 || !strings.Contains(w.events[0], "fault of the driver") {
			t.Errorf("the events are %q", w.events)
		}
	})
}

// TestDriverWithoutGetCapacity: there is no point in asking again soon.
func TestDriverWithoutGetCapacity(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.small()
		w.reports(func(*csipb.GetCapacityRequest) (*csipb.GetCapacityResponse, error) {
			return nil, status.Error(codes.Unimplemented, "no")
		})
		w.run()
		w.pass(pollInterval - 1)
		w.expect("before the first poll", 2, 0)
		if len(w.events) != 2 || !strings.Contains(w.events[0], "Unimplemented: no: without GetCapacity in the driver, --enable-capacity is of no use") {
			t.Errorf("the events are %q", w.events)
		}
		// An upgraded driver need not wait for the poll.
		w.has(1)
		w.DriverBack()
		w.pass(0)
		w.expectState("with another driver", "fast/zone=a:1Gi fast/zone=b:1Gi")
	})
}

func TestStopIsNoFailure(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.small()
		w.reports(func(*csipb.GetCapacityRequest) (*csipb.GetCapacityResponse, error) { return nil, csi.ErrStopping })
		w.run()
		if len(w.events) != 0 {
			t.Errorf("the events are %q", w.events)
		}
	})
}

// TestAPIServerFails: a write is tried again, with the capacity of then.
func TestAPIServerFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.node("n1", "a")
		w.class("fast")
		w.fails = apierrors.NewInternalError(errors.New("no"))
		w.run()
		w.expectState("at the start", "")
		w.has(3)
		w.pass(retryStart)
		w.expectState("after a back-off", "fast/zone=a:3Gi")
		w.fails = apierrors.NewInternalError(errors.New("no"))
		w.has(4)
		w.pass(pollInterval - retryStart)
		w.expectState("after a failed patch", "fast/zone=a:3Gi")
		w.pass(retryStart)
		w.expectState("after another back-off", "fast/zone=a:4Gi")
		w.fails = apierrors.NewInternalError(errors.New("no"))
		w.DeleteNode("n1")
		w.pass(0)
		w.expectState("after a failed delete", "fast/zone=a:4Gi")
		w.pass(retryStart)
		w.expectState("in the end", "")
		if len(w.events) != 0 {
			t.Errorf("the events are %q", w.events)
		}
	})
}

// TestKeysAreValues: two keys of one pair are one in a queue.
func TestKeysAreValues(t *testing.T) {
	one, other := object("x", "fast", "a"), object("y", "fast", "a")
	if plan.KeyOf(one) != plan.KeyOf(other) {
		t.Error("two objects for one pair have different keys")
	}
}
