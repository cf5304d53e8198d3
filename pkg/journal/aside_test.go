package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// withKey has a journal sign its records.
func withKey(key byte) func(*Options) {
	return func(o *Options) {
		o.Key = func(context.Context) ([]byte, error) { return bytes.Repeat([]byte{key}, KeySize), nil }
		o.Of = Installation{Cluster: "c-1", Driver: "d"}
		o.Judge = signedOnly
	}
}

func signedOnly(_ context.Context, _ *Intent, origin Origin) error {
	if !origin.Signed {
		return errors.New("it is not signed")
	}
	if origin.Of != (Installation{Cluster: "c-1", Driver: "d"}) || origin.Written.IsZero() {
		return fmt.Errorf("it comes from %+v", origin)
	}
	return nil
}

// next is the journal of the next process, with the same batches.
func next(t *testing.T, d *desk, change func(*Options)) *desk {
	t.Helper()
	d.stop()
	return open(t, d.shelf, change)
}

func TestOwnRecordsAreKnownByTheirSignature(t *testing.T) {
	story(t, func(t *testing.T) {
		first := open(t, newShelf(), withKey(1))
		first.takesOver() // The key is read with the journal.
		changed := intent(1)
		changed.Plans[0].Request.AccessibilityRequirements = zones("a", "b")
		first.begin(changed)
		second := next(t, first, withKey(1))
		second.takesOver(changed)
		second.stop()
	})
}

// TestForgedRecordsAreSetAside: whoever writes a record without the key, changes one,
// copies one to another place, or puts the topology of another batch into one, has nothing
// done by it; and what the journal has itself goes on.
func TestForgedRecordsAreSetAside(t *testing.T) {
	for name, forge := range map[string]func(own, other map[string][]byte, put func(batch, key string, value []byte)){
		"not signed": func(own, other map[string][]byte, put func(string, string, []byte)) {
			unsigned, _ := fill(newPacker(Installation{}), []*write{{intent: intent(1)}})
			content, _ := unsigned.finish()
			put("forged", string(uid(1)), content[string(uid(1))])
		},
		"signed with another key": func(own, other map[string][]byte, put func(string, string, []byte)) {
			p := newPacker(Installation{Cluster: "c-1", Driver: "d"})
			p.begin("forged", time.Unix(1, 0), NewSigner(bytes.Repeat([]byte{9}, KeySize)))
			signed, _ := fill(p, []*write{{intent: intent(1)}})
			content, _ := signed.finish()
			put("forged", string(uid(1)), content[string(uid(1))])
		},
		"copied to another batch": func(own, other map[string][]byte, put func(string, string, []byte)) {
			put("forged", string(uid(2)), own[string(uid(2))])
		},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T) {
				var told []string
				first := open(t, newShelf(), withKey(1))
				first.takesOver()
				first.begin(intent(2))
				own := first.shelf.snapshot()
				second := next(t, first, func(o *Options) {
					withKey(1)(o)
					o.Report = func(_ context.Context, err error) { told = append(told, err.Error()) }
				})
				for _, content := range own {
					forge(content, nil, func(batch, key string, value []byte) {
						second.shelf.put(map[string]map[string][]byte{batch: {key: value}})
					})
				}
				second.takesOver(intent(2))
				second.takesOver()
				if n := second.Count(SetAside); n != 1 || second.Count(Unreadable) != 0 {
					t.Errorf("%d records are set aside, want 1", n)
				}
				if len(told) != 1 || !strings.Contains(told[0], `of ConfigMap "forged": it is not signed`) {
					t.Errorf("it is told %q", told)
				}
				// It stays, and stops nothing.
				second.begin(intent(1))
				second.End(uid(1))
				second.End(uid(2))
				time.Sleep(time.Minute)
				second.onShelf("forged")
				if err := second.Settle(t.Context(), uid(1)); err != nil {
					t.Errorf("Settle: %v", err)
				}
				second.shelf.remove("forged")
				second.takesOver()
				if n := second.Count(SetAside); n != 0 {
					t.Errorf("%d records are set aside when it is gone", n)
				}
				second.stop()
			})
		})
	}
}

func TestRecordIsJudgedAgain(t *testing.T) {
	story(t, func(t *testing.T) {
		first := open(t, newShelf(), nil)
		first.begin(intent(1), intent(2))
		confirmed := map[types.UID]bool{uid(2): true}
		second := next(t, first, func(o *Options) {
			o.Judge = func(_ context.Context, intent *Intent, _ Origin) error {
				if !confirmed[intent.Claim.UID] {
					return errors.New("not confirmed")
				}
				return nil
			}
		})
		second.takesOver(intent(2))
		second.takesOver()
		confirmed[uid(1)] = true
		second.takesOver(intent(1))
		second.takesOver()
		second.End(uid(1))
		second.End(uid(2))
		time.Sleep(time.Minute)
		second.empty()
		second.stop()
	})
}

func TestWithoutAKeyRecordsAreNotSigned(t *testing.T) {
	story(t, func(t *testing.T) {
		var told []string
		d := open(t, newShelf(), func(o *Options) {
			o.Key = func(context.Context) ([]byte, error) { return nil, kube.ErrNoKey }
			o.Report = func(_ context.Context, err error) { told = append(told, err.Error()) }
		})
		d.takesOver()
		d.takesOver()
		d.begin(intent(1))
		if len(told) != 1 || !strings.Contains(told[0], "records are not signed") {
			t.Errorf("it is told %q", told)
		}
		d.stop()
	})
	story(t, func(t *testing.T) {
		d := open(t, newShelf(), func(o *Options) {
			o.Key = func(context.Context) ([]byte, error) { return nil, errors.New("timeout") }
		})
		if _, err := d.Recover(t.Context()); err == nil || !strings.Contains(err.Error(), "reading the journal's key: timeout") {
			t.Errorf("Recover: %v", err)
		}
		d.stop()
	})
}

// A batch that this process is just writing may be listed before the answer has come.
func TestBatchThatIsBeingWrittenIsListed(t *testing.T) {
	story(t, func(t *testing.T) {
		d := open(t, newShelf(), nil)
		d.shelf.put(map[string]map[string][]byte{d.options.Prefix + "99": written(t, asking("gold"), 1)})
		d.takesOver()
		d.stop()
	})
}

// What it holds is known as soon as the answer has come: it is not taken up for another one's.
func TestBatchThatIsListedBeforeItsAnswer(t *testing.T) {
	story(t, func(t *testing.T) {
		d := open(t, newShelf(), nil)
		name := d.options.Prefix + "1"
		d.shelf.put(map[string]map[string][]byte{name: written(t, intent(1), 1)})
		l, err := d.list(t.Context(), d.Reader(Trust))
		if err != nil {
			t.Fatal(err)
		}
		d.begin(intent(1))
		if intents := d.adopt(t.Context(), l); len(intents) > 0 {
			t.Errorf("taken over is %+v", intents)
		}
		time.Sleep(time.Minute)
		d.recorded(string(uid(1)))
		d.stop()
	})
}

// An API server that does not answer about the key must not keep the process from going on.
func TestKeyIsAskedForInTime(t *testing.T) {
	story(t, func(t *testing.T) {
		d := open(t, newShelf(), func(o *Options) {
			o.Key = func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }
		})
		if _, err := d.Recover(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Recover: %v", err)
		}
		d.stop()
	})
}
