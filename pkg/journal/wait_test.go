package journal

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// settling is a wait for the end of a claim's record that has begun.
type settling struct {
	t       *testing.T
	started time.Time
	done    chan error
}

func (d *desk) settling(n int) settling {
	s := settling{d.T, time.Now(), make(chan error, 1)}
	go func() { s.done <- d.Settle(d.Context(), uid(n)) }()
	synctest.Wait()
	return s
}

// ends returns the outcome, which must come in that time.
func (s settling) ends(within time.Duration) error {
	s.t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(within - time.Since(s.started)):
		s.t.Fatalf("it is still waited for after %s", time.Since(s.started))
		return nil
	}
}

// waits checks that there is no outcome yet.
func (s settling) waits() {
	s.t.Helper()
	synctest.Wait()
	if len(s.done) > 0 {
		s.t.Fatalf("the wait has ended already: %v", <-s.done)
	}
}

// Both of those who write may be the first to find that the right is missing; whoever
// waits for the other one is told, too.
func TestSettleEndsWhenTheJournalIsTurnedOff(t *testing.T) {
	for name, turnOff := range map[string]func(d *desk) error{
		"by a claim": func(d *desk) error { return d.Begin(d.Context(), intent(2)) },
		"by the end of another": func(d *desk) error {
			d.End(uid(3))
			return d.Settle(d.Context(), uid(3))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(o *Options) { o.Optional = true }, func(t *testing.T, d *desk) {
				d.begin(intent(1))
				d.begin(intent(3)) // in a batch of its own
				// The right has been missing for a while, and the next try comes late.
				d.mu.Lock()
				d.stored[d.batchOf(1)].notBefore = time.Now().Add(time.Hour)
				d.denied, d.deniedSince = noAccess(), time.Now().Add(-sureAfter)
				d.mu.Unlock()
				d.End(uid(1))
				waiting := d.settling(1)
				waiting.waits()
				d.shelf.setMissing(noAccess())
				d.shelf.failNext(failure{error: forbidden()})
				_ = turnOff(d)
				if err := waiting.ends(time.Minute); err != nil {
					t.Errorf("Settle: %v", err)
				}
				if !d.off {
					t.Error("the journal is not off")
				}
				if err := d.settling(1).ends(time.Second); err != nil {
					t.Errorf("and then: %v", err)
				}
			})
		})
	}
}

// batchOf returns the batch that has the record of a claim.
func (d *desk) batchOf(n int) string {
	for name := range d.records[uid(n)].batches {
		return name
	}
	d.Fatalf("claim %d is not recorded", n)
	return ""
}

// What has ended while the journal was off is dropped as soon as it is on again.
func TestDropsGoOnWhenTheJournalIsOnAgain(t *testing.T) {
	bubble(t, func(o *Options) { o.Optional = true }, func(t *testing.T, d *desk) {
		d.begin(intent(1))
		d.turnOff()
		d.End(uid(1))
		if err := d.settling(1).ends(time.Second); err != nil {
			t.Errorf("Settle while it is off: %v", err)
		}
		time.Sleep(2 * linger)
		d.recorded("uid-0001")
		if _, err := d.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		d.empty()
	})
}

func TestSettleEndsWhenTheJournalIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, newShelf(), nil)
		d.begin(intent(1))
		d.End(uid(1))
		d.shelf.failNext(failure{error: errors.New("timeout")})
		if err := d.Settle(t.Context(), uid(1)); err == nil {
			t.Fatal("it is dropped")
		}
		waiting := d.settling(1)
		waiting.waits()
		d.stop()
		for _, wait := range []settling{waiting, d.settling(1)} {
			if err := wait.ends(time.Second); err == nil || !strings.Contains(err.Error(), "closed") {
				t.Errorf("Settle: %v", err)
			}
		}
	})
}

// Whatever is written about the claim meanwhile, the wait comes to its end.
func TestSettleEndsAfterOtherWrites(t *testing.T) {
	changed := func() *Intent { return &Intent{Claim: intent(1).Claim, Plans: []*provision.Plan{plan(1, "silver")}} }
	for name, c := range map[string]struct {
		write func(d *desk)
		want  error
	}{
		"another intent": {func(d *desk) { d.begin(changed()) }, ErrOpen},
		"one that is given up": {func(d *desk) {
			ctx, cancel := context.WithTimeout(d.Context(), latency/2)
			defer cancel()
			_ = d.Begin(ctx, changed())
		}, nil},
		"one that may be lost": {func(d *desk) {
			d.shelf.failNext(failure{error: errors.New("timeout"), done: true})
			_ = d.Begin(d.Context(), changed())
		}, nil},
		"a late one of a former leader": {func(d *desk) {
			late, _ := fillAll(d.T, intent(1), intent(5))
			d.shelf.put(map[string]map[string][]byte{"late": late[0]})
			if _, err := d.Recover(d.Context()); err != nil {
				d.Fatal(err)
			}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, d *desk) {
				d.beginAll(intent(1), intent(2)) // so that the batch stays
				d.End(uid(1))
				d.shelf.failNext(failure{error: errors.New("no leader")})
				_ = d.Settle(t.Context(), uid(1)) // The next try comes after a pause.
				waiting := d.settling(1)
				waiting.waits()
				c.write(d)
				if err := waiting.ends(dropRetry + time.Second); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
					t.Errorf("Settle: %v, want %v", err, c.want)
				}
			})
		})
	}
}
