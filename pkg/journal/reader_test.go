package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// readBy returns all records on the shelf.
func (d *desk) readBy(r Reader) []Record {
	var all []Record
	_ = d.shelf.Each(d.Context(), func(batch kube.Batch) { all = append(all, r.Read(d.Context(), batch)...) })
	return all
}

// TestRead: what others have written can be read without taking it over.
func TestRead(t *testing.T) {
	story(t, func(t *testing.T) {
		d := open(t, newShelf(), nil)
		defer d.stop()
		d.begin(intent(1))
		d.shelf.put(map[string]map[string][]byte{"broken": {"uid": []byte("not compressed")}})
		for _, record := range d.readBy(d.Reader(Trust)) {
			switch {
			case record.Batch != "broken":
				if diff := cmp.Diff(intent(1), record.Intent, protocmp.Transform()); diff != "" || record.Kept != nil || record.Claim != uid(1) {
					t.Errorf("%+v is read (-want +got):\n%s", record, diff)
				}
			case !errors.Is(record.Kept, ErrUnreadable) || !strings.Contains(record.Kept.Error(), `key "uid" of ConfigMap "broken": decompressing`):
				t.Errorf("%+v is read", record)
			}
		}
		if !d.Knows(uid(1)) || d.Knows(uid(2)) {
			t.Error("the journal does not know its own intent, or knows one that it has not")
		}
	})
}

// TestReaderOfTheJournal: it has the journal's key, and without one it trusts all, as
// nobody can tell then who has written a record.
func TestReaderOfTheJournal(t *testing.T) {
	for name, c := range map[string]struct {
		key  func(*Options)
		kept bool
	}{"with a key": {withKey(1), true}, "without": {nil, false}} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T) {
				d := open(t, newShelf(), c.key)
				defer d.stop()
				d.takesOver()
				d.shelf.put(map[string]map[string][]byte{"forged": written(t, asking("gold"), 1)})
				for _, record := range d.readBy(d.Reader(signedOnly)) {
					if got := errors.Is(record.Kept, ErrSetAside); got != c.kept {
						t.Errorf("it is set aside: %t, want %t (%v)", got, c.kept, record.Kept)
					}
				}
			})
		})
	}
}

// TestUnsignedRecordReplacesNone: it may say for itself what its claim confirms, but not of
// a signed record that this one does not count any more.
func TestUnsignedRecordReplacesNone(t *testing.T) {
	story(t, func(t *testing.T) {
		first := open(t, newShelf(), withKey(1))
		first.takesOver()
		removed := asking("gold")
		removed.Useless = "h-1"
		first.begin(removed)
		var own string
		for name := range first.shelf.snapshot() {
			own = name
		}
		second := next(t, first, func(o *Options) {
			withKey(1)(o)
			o.Judge = Trust // its claim confirms the forged one
		})
		second.shelf.put(map[string]map[string][]byte{"forged": written(t, asking("gold"), 9, own)})
		found, err := second.Recover(t.Context())
		if err != nil || len(found) != 1 || found[0].Useless != "h-1" {
			t.Errorf("taken over is %+v (%v), and the removal of h-1 is lost", found, err)
		}
		second.stop()
	})
}

// TestUnsignedGenerationIsBounded: otherwise what this program writes after it would be
// beyond the limit, and could not be read again.
func TestUnsignedGenerationIsBounded(t *testing.T) {
	story(t, func(t *testing.T) {
		first := open(t, newShelf(), func(o *Options) { withKey(1)(o); o.Judge = Trust })
		first.shelf.put(map[string]map[string][]byte{"forged": written(t, asking("gold"), maxGeneration)})
		first.takesOver()
		first.begin(intent(2))
		second := next(t, first, withKey(1))
		second.takesOver(intent(2))
		second.stop()
	})
}

// TestKeptRecordsAreBounded: whoever may write ConfigMaps can write any number of records;
// those that are not told one by one are counted, and judged again all the same.
func TestKeptRecordsAreBounded(t *testing.T) {
	story(t, func(t *testing.T) {
		confirmed := false
		d := open(t, newShelf(), func(o *Options) {
			o.Judge = func(_ context.Context, intent *Intent, _ Origin) error {
				if confirmed && intent.Claim.UID == uid(1) {
					return nil
				}
				return errors.New("it is not confirmed")
			}
		})
		many, late := map[string][]byte{}, map[string][]byte{}
		for n := range 2 * maxKept {
			many[strings.Repeat("x", n%9+1)+string(uid(n))] = []byte("?")
		}
		for key, value := range written(t, asking("gold"), 1) {
			late[key] = bytes.Clone(value)
		}
		d.shelf.put(map[string]map[string][]byte{"many": many, "zz-late": late})
		d.takesOver()
		if n, told := d.Count(Unreadable)+d.Count(SetAside), len(d.Kept(ErrUnreadable))+len(d.Kept(ErrSetAside)); n != 2*maxKept+1 || told > maxKept+2 {
			t.Errorf("%d records are counted, want %d; %d are told", n, 2*maxKept+1, told)
		}
		confirmed = true
		d.takesOver(asking("gold"))
		d.takesOver()
		d.End(uid(1))
		d.shelf.remove("many")
		d.takesOver()
		if n := d.Count(Unreadable) + d.Count(SetAside); n != 0 {
			t.Errorf("%d records are counted when they are gone", n)
		}
		d.stop()
	})
}

// TestUnsignedRecordIsRecordedAnew: before anything is done about what nobody has signed, as
// the next process may find nothing any more that confirms it.
func TestUnsignedRecordIsRecordedAnew(t *testing.T) {
	story(t, func(t *testing.T) {
		trusting := func(o *Options) { withKey(1)(o); o.Judge = Trust }
		first := open(t, newShelf(), trusting)
		first.shelf.put(map[string]map[string][]byte{"old": written(t, intent(1), 1)})
		first.takesOver(intent(1))
		first.begin(intent(1))
		time.Sleep(time.Minute)
		second := next(t, first, withKey(1)) // which acts upon signed records only
		second.takesOver(intent(1))
		if n := second.Count(SetAside); n != 0 {
			t.Errorf("%d records are set aside", n)
		}
		second.stop()
	})
}

// TestNeedlessRecordsAreDropped: they are handed to nobody, and nobody has to look at them.
func TestNeedlessRecordsAreDropped(t *testing.T) {
	story(t, func(t *testing.T) {
		d := open(t, newShelf(), func(o *Options) {
			o.Judge = func(_ context.Context, intent *Intent, _ Origin) error {
				if intent.Claim.UID == uid(1) {
					return fmt.Errorf("as a test says: %w", ErrNeedless)
				}
				return nil
			}
		})
		d.shelf.put(map[string]map[string][]byte{"old": written(t, intent(1), 1), "other": written(t, intent(2), 1)})
		d.takesOver(intent(2))
		if err := d.Settle(t.Context(), uid(1)); err != nil {
			t.Errorf("Settle: %v", err)
		}
		time.Sleep(time.Minute)
		d.recorded(string(uid(2)))
		if n := d.Count(SetAside); n != 0 || len(d.told()) > 0 {
			t.Errorf("%d records are set aside, and it is told %q", n, d.told())
		}
		d.stop()
	})
}

// TestRecordsThatCanNotBeJudged: nothing is taken over before all of them are.
func TestRecordsThatCanNotBeJudged(t *testing.T) {
	story(t, func(t *testing.T) {
		away := true
		d := open(t, newShelf(), func(o *Options) {
			o.Judge = func(context.Context, *Intent, Origin) error {
				if away {
					return fmt.Errorf("%w: no API server", ErrUnknown)
				}
				return nil
			}
		})
		d.shelf.put(map[string]map[string][]byte{"old": written(t, intent(1), 1)})
		if _, err := d.Recover(t.Context()); !errors.Is(err, ErrUnknown) {
			t.Errorf("Recover: %v", err)
		}
		away = false
		d.takesOver(intent(1))
		d.stop()
	})
}

// TestFewUnsignedRecordsOfAClaim: to judge one takes requests.
func TestFewUnsignedRecordsOfAClaim(t *testing.T) {
	story(t, func(t *testing.T) {
		judged := 0
		d := open(t, newShelf(), func(o *Options) {
			withKey(1)(o)
			o.Judge = func(context.Context, *Intent, Origin) error { judged++; return nil }
		})
		for n := range 50 {
			d.shelf.put(map[string]map[string][]byte{fmt.Sprint("forged-", n): written(t, intent(1), 1)})
		}
		d.takesOver(intent(1))
		if n := d.Count(SetAside); judged != maxUnsignedOfClaim || n != 50-maxUnsignedOfClaim {
			t.Errorf("%d records are judged and %d set aside", judged, n)
		}
		d.stop()
	})
}
