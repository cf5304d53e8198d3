package journal

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// crash ends one journal and starts another on the same shelf.
func crash(t *testing.T, d *desk) *desk {
	d.stop()
	next := open(t, d.shelf, nil)
	t.Cleanup(next.stop)
	return next
}

// takesOver compares what a journal finds with what was begun.
func (d *desk) takesOver(want ...*Intent) {
	d.Helper()
	got, err := d.Recover(d.Context())
	if err != nil {
		d.Fatal(err)
	}
	slices.SortFunc(got, func(a, b *Intent) int { return strings.Compare(string(a.Claim.UID), string(b.Claim.UID)) })
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		d.Errorf("recovered (-want +got):\n%s", diff)
	}
}

// story runs a test in virtual time that ends its journals itself.
func story(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

func TestNextProcessFindsExactlyWhatWasBegun(t *testing.T) {
	story(t, func(t *testing.T) {
		full := intent(1)
		full.Useless = "h-1"
		full.Plans = append(full.Plans, plan(1, "silver"))
		full.Plans[0].Request.AccessibilityRequirements = zones("a", "b", "c")
		full.Plans[1].Request.AccessibilityRequirements = &csipb.TopologyRequirement{}
		full.Plans[0].Volume.Spec = corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		}
		bare := intent(2)
		bare.Plans[0].Secret, bare.Plans[0].UsesTopology = nil, false
		bare.Plans[0].Request = &csipb.CreateVolumeRequest{Name: "x"}
		first := open(t, newShelf(), nil)
		first.begin(full, bare, intent(3))
		first.End(uid(3))
		if err := first.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		second := crash(t, first)
		second.takesOver(full, bare)
		second.shelf.put(map[string]map[string][]byte{"empty": nil})
		second.takesOver() // Each is told of once.
		second.End(uid(1))
		second.End(uid(2))
		time.Sleep(time.Second)
		second.empty()
	})
}

func TestEndThatWasNotWrittenIsFoundAgain(t *testing.T) {
	story(t, func(t *testing.T) {
		first := open(t, newShelf(), nil)
		first.beginAll(intents(2)...)
		first.End(uid(0))
		second := crash(t, first)
		second.takesOver(intent(0), intent(1))
	})
}

// A replacement and what it replaces may both be there.
func TestLastRecordIsTheValidOne(t *testing.T) {
	story(t, func(t *testing.T) {
		old := intent(1)
		changed := &Intent{Claim: old.Claim, Plans: []*provision.Plan{plan(1, "silver"), old.Plans[0]}}
		first := open(t, newShelf(), nil)
		first.begin(old)
		before := first.shelf.snapshot()
		first.begin(changed)
		time.Sleep(time.Second)
		first.stop()
		first.shelf.put(before)
		second := crash(t, first)
		second.takesOver(changed)
		time.Sleep(time.Second)
		second.recorded("uid-0001")
		// What the new process writes is newer than all of it.
		again := &Intent{Claim: old.Claim, Plans: []*provision.Plan{plan(1, "bronze")}}
		second.begin(again)
		time.Sleep(time.Second)
		// What was dropped and comes to light again counts, too, but after it.
		first.shelf.put(before)
		third := crash(t, second)
		third.takesOver(&Intent{Claim: old.Claim, Plans: append(again.Plans, old.Plans...)})
		third.End(uid(1))
		time.Sleep(time.Second)
		third.empty()
	})
}

// What a former leader has written late is taken over; what this process has
// deleted, and which comes late, is deleted again.
func TestLateBatches(t *testing.T) {
	story(t, func(t *testing.T) {
		former := open(t, newShelf(), nil)
		former.begin(intent(1))
		late := former.shelf.snapshot()
		former.stop()
		former.shelf.batches = map[string]map[string][]byte{}
		current := crash(t, former)
		current.takesOver()
		current.begin(intent(2))
		current.shelf.put(late)
		current.takesOver(intent(1))
		current.End(uid(1))
		time.Sleep(time.Second)
		current.recorded("uid-0002")
		current.shelf.put(late)
		current.takesOver()
		time.Sleep(time.Second)
		current.recorded("uid-0002")

		current.shelf.failNext(failure{error: fmt.Errorf("timeout")})
		_ = current.Begin(t.Context(), intent(3))
		time.Sleep(time.Second)
		lost := fmt.Sprintf("%s%d", current.options.Prefix, current.written)
		current.shelf.put(map[string]map[string][]byte{lost: late[slices.Collect(maps.Keys(late))[0]]})
		current.takesOver()
		time.Sleep(time.Second)
		current.recorded("uid-0002")
		current.End(uid(2))
		time.Sleep(time.Second)
		current.empty()
	})
}

func TestWhatCanNotBeReadIsKept(t *testing.T) {
	story(t, func(t *testing.T) {
		first := open(t, newShelf(), nil)
		first.beginAll(intents(2)...)
		p := newPacker(Installation{})
		newer, err := p.pack("k", entry{Version: version + 1})
		if err != nil {
			t.Fatal(err)
		}
		empty, err := p.pack("k", entry{Version: version})
		if err != nil {
			t.Fatal(err)
		}
		batches := first.shelf.snapshot()
		for _, content := range batches {
			content["broken"], content["newer"], content["empty"] = []byte("?"), newer, empty
		}
		first.shelf.put(batches)
		second := crash(t, first)
		second.takesOver(intent(0), intent(1))
		told := second.told()
		if len(told) != 1 {
			t.Fatalf("reports: %q", told)
		}
		for _, want := range []string{`key "broken"`, `key "newer"`, "a newer one has written it", `key "empty"`, "csi-provisioner audit"} {
			if !strings.Contains(told[0], want) {
				t.Errorf("the report %q has no %q", told[0], want)
			}
		}
		if n, all := second.Count(Unreadable), second.Kept(ErrUnreadable); n != 3 || len(all) != 3 || all[0].Claim != "broken" {
			t.Errorf("%d are unreadable: %v", n, all)
		}
		second.End(uid(0))
		second.End(uid(1))
		time.Sleep(time.Minute)
		second.recorded("broken", "empty", "newer")
	})
}
