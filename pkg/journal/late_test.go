package journal

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// asking is an intent of claim 1 with a plan for each tier.
func asking(tiers ...string) *Intent {
	next := &Intent{Claim: intent(1).Claim}
	for _, tier := range tiers {
		next.Plans = append(next.Plans, plan(1, tier))
	}
	return next
}

// changed returns the intent with a change.
func (i *Intent) changed(change func(*Intent)) *Intent {
	change(i)
	return i
}

// written is a batch as another process writes it: of the intent, with that
// generation, and replacing these batches.
func written(t *testing.T, intent *Intent, generation int64, replaces ...string) map[string][]byte {
	t.Helper()
	s, _ := fill(newPacker(Installation{}), []*write{{intent: intent, generation: generation, replaces: replaces, done: make(chan error, 1)}})
	content, err := s.finish()
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Whichever of two leaders that did not know of each other has written the higher
// generation: both may have called the driver.
func TestRecordsOfSeveralProcessesAreMerged(t *testing.T) {
	for name, c := range map[string]struct {
		shelf map[string]map[string][]byte
		want  *Intent
		then  []string // batches that stay
	}{
		"a late one with a higher generation": {map[string]map[string][]byte{
			"late": written(t, asking("gold"), 7), "other": written(t, asking("silver"), 3),
		}, asking("gold", "silver"), []string{"late", "other"}},
		"a late one with a lower generation": {map[string]map[string][]byte{
			"late": written(t, asking("gold"), 2), "other": written(t, asking("silver"), 3),
		}, asking("silver", "gold"), []string{"late", "other"}},
		"equal requests are one": {map[string]map[string][]byte{
			"late": written(t, asking("gold", "bronze"), 2), "other": written(t, asking("silver", "gold"), 3),
		}, asking("silver", "gold", "bronze"), []string{"late", "other"}},
		"a volume to be deleted": {map[string]map[string][]byte{
			"late":  written(t, asking("gold").changed(func(i *Intent) { i.Useless = "h" }), 2),
			"other": written(t, asking("silver"), 3),
		}, asking("silver", "gold").changed(func(i *Intent) { i.Useless, i.Forgotten = "h", true }), []string{"late", "other"}},
		"a volume to be deleted, by both": {map[string]map[string][]byte{
			"late":  written(t, asking("gold").changed(func(i *Intent) { i.Useless = "h" }), 2),
			"other": written(t, asking("silver").changed(func(i *Intent) { i.Useless = "h" }), 3),
		}, asking("silver", "gold").changed(func(i *Intent) { i.Useless = "h" }), []string{"late", "other"}},
		"one that is not complete": {map[string]map[string][]byte{
			"late":  written(t, asking("gold").changed(func(i *Intent) { i.Partial = true }), 2),
			"other": written(t, asking("silver").changed(func(i *Intent) { i.Forgotten = true }), 3),
		}, asking("silver", "gold").changed(func(i *Intent) { i.Partial, i.Forgotten = true, true }), []string{"late", "other"}},
		"one that has been replaced": {map[string]map[string][]byte{
			"first": written(t, asking("gold").changed(func(i *Intent) { i.Useless = "h" }), 2), "second": written(t, asking("silver"), 3, "first"),
		}, asking("silver", "gold"), []string{"first", "second"}},
		"one that has been replaced, and a late one": {map[string]map[string][]byte{
			"first": written(t, asking("gold"), 2), "second": written(t, asking("silver"), 3, "first"), "late": written(t, asking("bronze"), 2),
		}, asking("silver", "bronze", "gold"), []string{"first", "late", "second"}},
		"several that replace each other in turn": {map[string]map[string][]byte{
			"a": written(t, asking("gold"), 1), "b": written(t, asking("silver"), 2, "a"), "c": written(t, asking("bronze"), 3, "b"),
		}, asking("bronze", "silver", "gold"), []string{"a", "b", "c"}},
		"what makes no sense": {map[string]map[string][]byte{
			"a": written(t, asking("gold"), 1, "a", "b"), "b": written(t, asking("silver"), 2, "a", "b"),
		}, asking("silver", "gold"), []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T) {
				d := open(t, newShelf(), nil)
				defer d.stop()
				d.shelf.put(c.shelf)
				d.takesOver(c.want)
				time.Sleep(2 * linger)
				d.onShelf(c.then...)
				// After another crash it is all the same.
				next := crash(t, d)
				next.takesOver(c.want)
				// What is written now has it all.
				next.begin(asking("iron"))
				time.Sleep(2 * linger)
				if n := len(next.shelf.snapshot()); n != 1 {
					t.Errorf("%d batches are left after a new record", n)
				}
				next.End(uid(1))
				time.Sleep(time.Second)
				next.empty()
			})
		})
	}
}

// onShelf compares the names of the batches.
func (d *desk) onShelf(want ...string) {
	d.Helper()
	got := map[string]bool{}
	for name := range d.shelf.snapshot() {
		got[name] = true
	}
	all := map[string]bool{}
	for _, name := range want {
		all[name] = true
	}
	if diff := cmp.Diff(all, got); diff != "" {
		d.Errorf("the batches (-want +got):\n%s", diff)
	}
}

// A record of this process names what it replaces, so that a crash before the drop
// brings no removal back that is over. That the request counts again costs a call.
func TestReplacedRemovalDoesNotComeBack(t *testing.T) {
	story(t, func(t *testing.T) {
		first := open(t, newShelf(), nil)
		first.begin(asking("gold").changed(func(i *Intent) { i.Useless = "h" }))
		before := first.shelf.snapshot()
		first.begin(asking("silver"))
		first.stop()
		first.shelf.put(before)
		second := crash(t, first)
		second.takesOver(asking("silver", "gold"))
	})
}

// late has a journal with an intent under way, and a late record with what else the
// claim may have been asked for.
func late(t *testing.T, mine, found *Intent, test func(d *desk)) {
	t.Helper()
	story(t, func(t *testing.T) {
		d := open(t, newShelf(), nil)
		defer d.stop()
		d.begin(mine)
		d.shelf.put(map[string]map[string][]byte{"late": written(t, found, 1)})
		test(d)
	})
}

// What a late record says that is new is handed over, once, and is durable until it is
// taken up or the intent has ended.
func TestLateRecordOfAnOpenIntent(t *testing.T) {
	late(t, asking("gold"), asking("silver"), func(d *desk) {
		d.takesOver(asking("silver"))
		d.takesOver()
		// Whoever was about to write does not know of it yet.
		d.begin(asking("bronze", "gold"))
		time.Sleep(2 * linger)
		next := crash(d.T, d)
		next.takesOver(asking("bronze", "gold", "silver"))
	})
	late(t, asking("gold"), asking("silver"), func(d *desk) {
		d.takesOver(asking("silver"))
		d.begin(asking("gold", "silver"))
		time.Sleep(2 * linger)
		if n := len(d.shelf.snapshot()); n != 1 {
			d.Errorf("%d batches are left when it is taken up", n)
		}
		next := crash(d.T, d)
		next.takesOver(asking("gold", "silver"))
	})
	late(t, asking("gold"), asking("silver"), func(d *desk) {
		d.takesOver(asking("silver"))
		d.End(uid(1))
		time.Sleep(time.Second)
		d.empty()
	})
}

func TestLateRecordDuringAWrite(t *testing.T) {
	late(t, asking("gold"), asking("silver"), func(d *desk) {
		done := make(chan error, 1)
		go func() { done <- d.Begin(d.Context(), asking("bronze", "gold")) }()
		synctest.Wait() // The write is under way.
		d.takesOver(asking("silver"))
		if err := <-done; err != nil {
			d.Fatal(err)
		}
		time.Sleep(2 * linger)
		next := crash(d.T, d)
		next.takesOver(asking("bronze", "gold", "silver"))
	})
}

func TestWhatALateRecordMaySayThatIsNew(t *testing.T) {
	for name, c := range map[string]struct {
		found *Intent
		want  bool
	}{
		"the same":                {asking("gold"), false},
		"a request":               {asking("gold", "silver"), true},
		"a volume to be deleted":  {asking("gold").changed(func(i *Intent) { i.Useless = "h" }), true},
		"that it is not complete": {asking("gold").changed(func(i *Intent) { i.Partial = true }), true},
		"that it forgets":         {asking("gold").changed(func(i *Intent) { i.Forgotten = true }), true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, ended := range []bool{false, true} {
				late(t, asking("gold"), c.found, func(d *desk) {
					if ended {
						d.beginAll(intent(2)) // so that the record is still there
						d.shelf.failNext(failure{error: errors.New("timeout")})
						d.End(uid(1))
					}
					var want []*Intent
					if c.want {
						want = append(want, c.found)
					}
					d.takesOver(want...)
					time.Sleep(2 * linger)
					_, stays := d.shelf.snapshot()["late"]
					if stays != c.want {
						t.Errorf("ended: %t: the late record stays: %t", ended, stays)
					}
					d.takesOver()
				})
			}
		})
	}
}

// The process that has written it may have called the driver after this one has ended the
// intent, whether because the PersistentVolume was stored or because there was no volume.
func TestLateRecordOfAnEndedIntent(t *testing.T) {
	late(t, asking("gold"), asking("silver"), func(d *desk) {
		d.shelf.failNext(failure{error: errors.New("no leader")})
		d.End(uid(1))
		time.Sleep(time.Second) // The next try comes later.
		waiting := d.settling(1)
		waiting.waits()
		d.takesOver(asking("silver"))
		if err := waiting.ends(time.Minute); !errors.Is(err, ErrOpen) {
			d.Errorf("Settle: %v", err)
		}
		if n := d.Count(Creating); n != 1 {
			d.Errorf("%d intents are open", n)
		}
		time.Sleep(2 * linger)
		d.onShelf("late")
		d.End(uid(1))
		time.Sleep(time.Second)
		d.empty()
	})
}

// While the journal was off, the intent was not recorded: the late record is the only one.
func TestLateRecordOfAnIntentThatIsNotRecorded(t *testing.T) {
	bubble(t, func(o *Options) { o.Optional = true }, func(t *testing.T, d *desk) {
		d.turnOff()
		mine := &Intent{Claim: intent(1).Claim, Plans: []*provision.Plan{plan(1, "gold"), plan(1, "silver")}}
		d.begin(mine)
		d.shelf.put(map[string]map[string][]byte{"late": written(t, asking("gold"), 1)})
		d.takesOver()
		time.Sleep(2 * linger)
		d.onShelf("late")
		d.begin(mine)
		time.Sleep(2 * linger)
		var found []*Intent
		for _, record := range d.readBy(d.Reader(Trust)) {
			found = append(found, record.Intent)
		}
		if diff := cmp.Diff([]*Intent{mine}, found, protocmp.Transform()); diff != "" {
			t.Errorf("recorded is (-want +got):\n%s", diff)
		}
	})
}
