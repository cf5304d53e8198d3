package journal

import (
	"errors"
	"testing"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/tables"
)

// kept returns what a journal keeps in memory.
func (d *desk) kept() []string { return tables.NotEmpty(d.Journal, "options", "pace", "packer") }

// Whatever becomes of intents and their writes, nothing of them is kept in the end.
func TestNothingIsKeptOfManyIntents(t *testing.T) {
	story(t, func(t *testing.T) {
		former := open(t, newShelf(), nil)
		former.beginAll(intents(1000)...)
		d := crash(t, former)
		found, err := d.Recover(t.Context())
		if err != nil || len(found) != 1000 {
			t.Fatalf("found are %d, %v", len(found), err)
		}
		lost := failure{error: errors.New("timeout")}
		for n := range 9000 {
			switch n % 50 {
			case 10:
				d.shelf.failNext(lost)
			case 20:
				d.shelf.failNext(failure{error: lost.error, done: true})
			case 30:
				d.shelf.failNext(failure{error: forbidden()})
			}
			next := intent(1000 + n)
			if d.Begin(t.Context(), next) == nil && n%3 == 0 {
				next.Plans = append(next.Plans, plan(n, "silver"))
				_ = d.Begin(t.Context(), next)
			}
			d.End(uid(1000 + n))
			if n < len(found) {
				d.End(found[n].Claim.UID)
			}
		}
		if err := d.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * goneFor)
		d.takesOver()
		d.empty()
		if kept := d.kept(); len(kept) > 0 {
			t.Errorf("kept is %q", kept)
		}
	})
}

// Somebody has taken care of a record that can't be read, as the report asks for.
func TestKeysThatWereTakenCareOfAreForgotten(t *testing.T) {
	story(t, func(t *testing.T) {
		d := open(t, newShelf(), nil)
		defer d.stop()
		d.shelf.put(map[string]map[string][]byte{
			"one": {"a": []byte("?"), "b": []byte("?")}, "two": {"c": []byte("?")},
		})
		d.takesOver()
		d.shelf.put(map[string]map[string][]byte{"one": {"b": []byte("?")}})
		d.takesOver()
		if n := d.Count(Unreadable); n != 2 {
			t.Errorf("%d are unreadable after one key has gone, want 2", n)
		}
		d.shelf.remove("two")
		d.shelf.put(map[string]map[string][]byte{"one": {}})
		d.takesOver()
		time.Sleep(time.Second)
		d.empty() // The empty batch goes, too.
		time.Sleep(2 * goneFor)
		d.takesOver()
		if kept := d.kept(); d.Count(Unreadable) != 0 || len(kept) > 0 {
			t.Errorf("kept is %q", kept)
		}
	})
}

// A batch that somebody has deleted keeps nobody waiting, and its intents are recorded
// again.
func TestVanishedBatch(t *testing.T) {
	story(t, func(t *testing.T) {
		d := open(t, newShelf(), nil)
		defer d.stop()
		d.beginAll(intents(2)...)
		d.End(uid(0))
		for name := range d.shelf.snapshot() {
			d.shelf.remove(name)
		}
		d.takesOver()
		if err := d.Settle(t.Context(), uid(0)); err != nil {
			t.Errorf("the end of an intent that is not recorded is waited for: %v", err)
		}
		d.begin(intent(1))
		d.recorded("uid-0001")
		d.End(uid(1))
		time.Sleep(time.Second)
		d.empty()
		if kept := d.kept(); len(kept) > 0 {
			t.Errorf("kept is %q", kept)
		}
	})
}

// What was written while the list was under way has not vanished.
func TestBatchThatIsWrittenDuringTheListing(t *testing.T) {
	story(t, func(t *testing.T) {
		d := open(t, newShelf(), nil)
		defer d.stop()
		before := d.names()
		l, err := d.list(t.Context(), d.Reader(Trust))
		if err != nil {
			t.Fatal(err)
		}
		d.begin(intent(1))
		d.compare(before, l.seen)
		if len(d.records[uid(1)].batches) != 1 {
			t.Errorf("the record is %+v", d.records[uid(1)])
		}
		d.End(uid(1))
	})
}
