package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

func (d *desk) wrote(want ...string) {
	d.Helper()
	if diff := cmp.Diff(want, d.shelf.log()); diff != "" {
		d.Errorf("writes (-want +got):\n%s", diff)
	}
}

func (d *desk) recorded(want ...string) {
	d.Helper()
	if diff := cmp.Diff(append([]string{}, want...), d.shelf.recorded()); diff != "" {
		d.Errorf("recorded (-want +got):\n%s", diff)
	}
}

// empty fails if anything is remembered.
func (d *desk) empty() {
	d.Helper()
	d.recorded()
	d.mu.Lock()
	defer d.mu.Unlock()
	if records, stored := len(d.records), len(d.stored); records+stored > 0 {
		d.Errorf("%d records and %d batches are remembered", records, stored)
	}
}

func TestLoneClaimCostsOneRoundTripAndTwoWrites(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		started := time.Now()
		d.begin(intent(1))
		if took := time.Since(started); took != latency {
			t.Errorf("it took %s, want that of one write, %s", took, latency)
		}
		d.recorded("uid-0001")
		d.End(uid(1))
		time.Sleep(2 * latency)
		d.wrote("create", "delete")
		d.empty()
	})
}

func TestClaimsThatComeTogetherShareWrites(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		const claims = 400
		if err := errors.Join(d.beginAll(intents(claims)...)...); err != nil {
			t.Fatal(err)
		}
		if n := len(d.shelf.log()); n > 2 {
			t.Errorf("%d claims have made %d writes", claims, n)
		}
		for n := range claims {
			d.End(uid(n))
		}
		time.Sleep(time.Second)
		if n := len(d.shelf.log()); n > 2 {
			t.Errorf("the ends of %d claims have made %d writes", claims, n)
		}
		d.empty()
	})
}

// As claims do that the API server takes one after the other, with a driver that
// takes as long for each.
func TestBurstTakesATenthOfAWriteForEach(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		const claims, atOnce = 3000, 400
		var slowest time.Duration
		turns := make(chan struct{}, atOnce)
		done := make(chan time.Duration, claims)
		for n := range claims {
			time.Sleep(3 * time.Millisecond)
			turns <- struct{}{}
			go func() {
				started := time.Now()
				if err := d.Begin(t.Context(), intent(n)); err != nil {
					t.Error(err)
				}
				done <- time.Since(started)
				time.Sleep(50 * time.Millisecond)
				d.End(uid(n))
				<-turns
			}()
		}
		for range claims {
			slowest = max(slowest, <-done)
		}
		time.Sleep(time.Minute)
		writes := len(d.shelf.log())
		t.Logf("%d writes for %d claims; the slowest waited %s", writes, claims, slowest)
		if writes > claims/10 {
			t.Errorf("%d writes for %d claims", writes, claims)
		}
		if slowest > commitsEvery+3*latency {
			t.Errorf("a claim waited %s", slowest)
		}
		d.empty()
	})
}

func TestFewClaimsNeverWaitForOthers(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		for n := range spareCommits {
			started := time.Now()
			d.begin(intent(n))
			if took := time.Since(started); took != latency {
				t.Errorf("claim %d took %s, want %s", n, took, latency)
			}
		}
	})
}

func TestWhatIsRecordedIsNotWrittenAgain(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		first := intent(1)
		d.begin(first, first)
		d.begin(&Intent{Claim: first.Claim, Plans: slices.Clone(first.Plans)})
		d.wrote("create")
		// Another request is, and replaces it.
		changed := &Intent{Claim: first.Claim, Plans: []*provision.Plan{plan(1, "silver"), first.Plans[0]}}
		d.begin(changed)
		time.Sleep(time.Second)
		d.wrote("create", "delete")
		d.recorded("uid-0001")
		// So is the one that it has replaced, when that is what is called again:
		// who reads the journal must repeat the last call.
		d.begin(first)
		time.Sleep(time.Second)
		d.wrote("create", "delete")
		d.begin(&Intent{Claim: first.Claim, Plans: first.Plans, Useless: "h-1"})
		time.Sleep(time.Second)
		d.wrote("create", "delete")
		d.End(uid(1))
		time.Sleep(time.Second)
		d.wrote("delete")
		d.empty()
	})
}

func TestEndsOfABatchAreShared(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		d.beginAll(intents(20)...)
		d.shelf.log()
		for n := range 19 {
			d.End(uid(n))
			time.Sleep(time.Second)
		}
		d.wrote()
		time.Sleep(linger)
		d.wrote("drop 19")
		d.recorded("uid-0019")
		d.End(uid(19))
		time.Sleep(time.Second)
		d.wrote("delete")
		d.empty()
	})
}

func TestSettle(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		settles := func(n int, want error) {
			t.Helper()
			if err := d.Settle(t.Context(), uid(n)); !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("Settle: %v, want %v", err, want)
			}
		}
		settles(1, nil)
		d.beginAll(intents(4)...)
		d.shelf.log()
		settles(2, ErrOpen)
		d.End(uid(2))
		d.End(uid(1))
		started := time.Now()
		settles(2, nil)
		if took := time.Since(started); took > 2*latency {
			t.Errorf("it took %s", took)
		}
		d.wrote("drop 2")
		d.recorded("uid-0000", "uid-0003")
		settles(1, nil)

		d.End(uid(3))
		d.shelf.failNext(failure{error: errors.New("no leader")})
		if err := d.Settle(t.Context(), uid(3)); err == nil || !strings.Contains(err.Error(), "no leader") {
			t.Errorf("Settle: %v, want that it can't be written", err)
		}
		d.recorded("uid-0000", "uid-0003")
		settles(3, nil)
		d.recorded("uid-0000")
	})
}

func TestSettleEndsWithItsContext(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		d.begin(intent(1))
		d.End(uid(1))
		ctx, cancel := context.WithTimeout(t.Context(), latency/2)
		defer cancel()
		if err := d.Settle(ctx, uid(1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Settle: %v", err)
		}
	})
}

func TestFlushLeavesNothingEnded(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		d.beginAll(intents(50)...)
		for n := range 49 {
			d.End(uid(n))
		}
		if err := d.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.recorded("uid-0049")
	})
}

// The error says nothing about whether it was written.
func TestFailedWriteIsReportedAndLeavesNothing(t *testing.T) {
	for _, done := range []bool{false, true} {
		t.Run(fmt.Sprint("done all the same: ", done), func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, d *desk) {
				d.shelf.failNext(failure{errors.New("timeout"), done})
				err := d.Begin(t.Context(), intent(1))
				if err == nil || !strings.Contains(err.Error(), "recording what is to be created in the journal: timeout") {
					t.Errorf("Begin: %v", err)
				}
				time.Sleep(time.Second)
				d.wrote("create", "delete")
				d.empty()
				if told := d.told(); len(told) != 1 || !strings.Contains(told[0], "timeout") {
					t.Errorf("reports: %q", told)
				}
				d.begin(intent(1))
				if told := d.told(); len(told) != 2 || told[1] != "<nil>" {
					t.Errorf("reports: %q", told)
				}
			})
		})
	}
}

// Until it is certain that the lost batch is not there, the next process may
// find it.
func TestSettleWaitsForLostBatches(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		down := errors.New("timeout")
		d.shelf.failNext(failure{down, true}, failure{error: down})
		if err := d.Begin(t.Context(), intent(1)); err == nil {
			t.Error("Begin has no error")
		}
		time.Sleep(2 * latency) // It can't be deleted at once.
		d.begin(intent(1))
		d.End(uid(1))
		time.Sleep(time.Second / 2)
		d.recorded("uid-0001")
		if err := d.Settle(t.Context(), uid(1)); err != nil {
			t.Errorf("Settle: %v", err)
		}
		d.empty()
	})
}

func TestRefusedWriteIsNotCleanedUp(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		d.shelf.failNext(failure{error: apierrors.NewTooManyRequests("later", 1)})
		if err := d.Begin(t.Context(), intent(1)); err == nil {
			t.Error("Begin has no error")
		}
		time.Sleep(time.Second)
		d.wrote("create")
		d.empty()
	})
}

func TestLastingProblemIsToldOnceAMinute(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		for range 30 {
			d.shelf.failNext(failure{error: apierrors.NewTooManyRequests("later", 1)})
			_ = d.Begin(t.Context(), intent(1))
			time.Sleep(10 * time.Second)
		}
		if n := len(d.told()); n != 5 {
			t.Errorf("%d reports in 5 minutes", n)
		}
	})
}

func TestBeginEndsWithItsContext(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		ctx, cancel := context.WithTimeout(t.Context(), latency/2)
		defer cancel()
		if err := d.Begin(ctx, intent(1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Begin: %v", err)
		}
		time.Sleep(time.Second)
		d.wrote("create", "delete") // Nobody knows of it.
		d.empty()
	})
}

func TestAbandonedReplacementKeepsWhatItReplaces(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		first := intent(1)
		d.begin(first)
		ctx, cancel := context.WithTimeout(t.Context(), latency/2)
		defer cancel()
		changed := &Intent{Claim: first.Claim, Plans: []*provision.Plan{plan(1, "silver"), first.Plans[0]}}
		if err := d.Begin(ctx, changed); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Begin: %v", err)
		}
		time.Sleep(time.Second)
		d.recorded("uid-0001")
		if err := d.Settle(t.Context(), uid(1)); !errors.Is(err, ErrOpen) {
			t.Errorf("Settle: %v", err)
		}
	})
}

func TestClosedJournalTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, newShelf(), nil)
		d.stop()
		if err := d.Begin(t.Context(), intent(1)); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("Begin: %v", err)
		}
		d.wrote()
	})
}

func TestOff(t *testing.T) {
	bubble(t, func(o *Options) { o.Store, o.Access = nil, nil }, func(t *testing.T, d *desk) {
		if recovered, err := d.Recover(t.Context()); err != nil || len(recovered) > 0 {
			t.Errorf("recovered %v, %v", recovered, err)
		}
		d.begin(intent(1))
		if err := d.Settle(t.Context(), uid(1)); !errors.Is(err, ErrOpen) {
			t.Errorf("Settle: %v", err)
		}
		d.End(uid(1))
		if err := d.Settle(t.Context(), uid(1)); err != nil {
			t.Errorf("Settle: %v", err)
		}
		d.wrote()
		d.empty()
	})
}

// turnOff has the right to the store be missing for certain.
func (d *desk) turnOff() {
	d.setDenied(d.Context(), noAccess())
	time.Sleep(sureAfter)
	d.setDenied(d.Context(), noAccess())
}

func noAccess() error { return fmt.Errorf("add this rule: %w", kube.ErrNoAccess) }

func TestRequiredJournalNeedsItsRights(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		d.shelf.setMissing(noAccess())
		if _, err := d.Recover(t.Context()); !errors.Is(err, kube.ErrNoAccess) {
			t.Errorf("Recover: %v", err)
		}
	})
}

// TestRightsThatGoAway: whoever waits is told which right is missing, everybody once, and it
// goes on when they are back, whether anybody tries to write or not.
func TestRightsThatGoAway(t *testing.T) {
	for name, retry := range map[string]func(d *desk){
		"a claim retries":     func(d *desk) { d.begin(intent(2)) },
		"the journal is read": func(d *desk) { d.takesOver() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, d *desk) {
				d.takesOver()
				d.begin(intent(1))
				d.shelf.setMissing(noAccess())
				for range 3 {
					d.shelf.failNext(failure{error: forbidden()})
					if err := d.Begin(t.Context(), intent(2)); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "add this rule") {
						t.Errorf("Begin: %v", err)
					}
					if _, err := d.Recover(t.Context()); !errors.Is(err, kube.ErrNoAccess) {
						t.Errorf("Recover: %v", err)
					}
				}
				if err := d.Denied(); !errors.Is(err, kube.ErrNoAccess) {
					t.Errorf("Denied: %v", err)
				}
				if told := d.told(); len(told) != 1 || !strings.Contains(told[0], "no volume is created before it can be recorded") || !strings.Contains(told[0], "add this rule") {
					t.Errorf("reports: %q", told)
				}
				d.shelf.setMissing(nil)
				retry(d)
				if err := d.Denied(); err != nil {
					t.Errorf("Denied: %v", err)
				}
				if told := d.told(); len(told) != 2 || told[1] != "<nil>" {
					t.Errorf("reports: %q", told)
				}
			})
		})
	}
}

func TestOptionalJournalGoesOnWithoutItsRights(t *testing.T) {
	bubble(t, func(o *Options) { o.Optional = true }, func(t *testing.T, d *desk) {
		d.shelf.setMissing(noAccess())
		// An API server that has just started may deny it, and be wrong.
		for range sureAfter / time.Second {
			if _, err := d.Recover(t.Context()); err == nil || errors.Is(err, kube.ErrNoAccess) || !strings.Contains(err.Error(), "add this rule") {
				t.Errorf("Recover: %v", err)
			}
			time.Sleep(time.Second)
		}
		if _, err := d.Recover(t.Context()); err != nil {
			t.Errorf("Recover: %v", err)
		}
		d.begin(intent(1))
		d.wrote()
		if told := d.told(); len(told) != 1 || !strings.Contains(told[0], "add this rule") {
			t.Errorf("reports: %q", told)
		}
		// As soon as they are there, it is used.
		d.shelf.setMissing(nil)
		if _, err := d.Recover(t.Context()); err != nil {
			t.Errorf("Recover: %v", err)
		}
		d.begin(intent(2), intent(1))
		d.recorded("uid-0001", "uid-0002")
		if told := d.told(); len(told) != 2 || told[1] != "<nil>" {
			t.Errorf("reports: %q", told)
		}
		// They may go again, at any time: to be missed for a moment is nothing, again.
		fails := func() {
			t.Helper()
			d.shelf.failNext(failure{error: forbidden()})
			if err := d.Begin(t.Context(), intent(3)); !apierrors.IsForbidden(err) {
				t.Errorf("Begin: %v", err)
			}
		}
		d.shelf.setMissing(noAccess())
		fails()
		d.shelf.setMissing(nil)
		d.begin(intent(4))
		time.Sleep(sureAfter)
		d.shelf.setMissing(noAccess())
		fails()
		time.Sleep(sureAfter - time.Second)
		fails()
		time.Sleep(time.Second)
		d.shelf.failNext(failure{error: forbidden()})
		d.begin(intent(3))
		d.End(uid(1))
		if err := d.Settle(t.Context(), uid(1)); err != nil {
			t.Errorf("Settle: %v", err)
		}
		d.recorded("uid-0001", "uid-0002", "uid-0004")
	})
}

// A quota, for example, is no missing right: somebody can make room.
func TestOptionalJournalWaitsIfItHasTheRights(t *testing.T) {
	bubble(t, func(o *Options) { o.Optional = true }, func(t *testing.T, d *desk) {
		d.shelf.failNext(failure{error: forbidden()})
		if err := d.Begin(t.Context(), intent(1)); !apierrors.IsForbidden(err) {
			t.Errorf("Begin: %v", err)
		}
		d.begin(intent(1))
		d.recorded("uid-0001")
	})
}

func TestCounts(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *desk) {
		d.beginAll(intents(6)...)
		time.Sleep(time.Hour)
		d.beginAll(intent(7))
		d.Undoing(uid(1))
		d.Undoing(uid(7))
		d.End(uid(3))
		got := map[State]int{}
		for _, state := range []State{Creating, Undoing, Ended, Unreadable} {
			got[state] = d.Count(state)
		}
		if diff := cmp.Diff(map[State]int{Creating: 4, Undoing: 2, Ended: 1, Unreadable: 0}, got); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		if age := d.Oldest(); age < time.Hour || age > time.Hour+time.Second {
			t.Errorf("the oldest is %s old", age)
		}
		for n := range 8 {
			d.End(uid(n))
		}
		if age := d.Oldest(); age != 0 {
			t.Errorf("the oldest is %s old", age)
		}
	})
}
