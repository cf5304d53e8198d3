package sidecar

import (
	"context"
	"errors"
	"testing"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// written is a lock that notes the holders that are written.
type written struct {
	resourcelock.Interface
	holders []string
}

func (w *written) Update(_ context.Context, record resourcelock.LeaderElectionRecord) error {
	w.holders = append(w.holders, record.HolderIdentity)
	return nil
}

// TestLeaseIsKeptWhileWorking: a lease can be renewed, but not given back, before
// the work that it was taken for has ended.
func TestLeaseIsKeptWhileWorking(t *testing.T) {
	lock := &written{}
	h := hold(lock, time.Minute, func(time.Time) {}, func() {})
	update := func(holder string) error {
		return h.Update(t.Context(), resourcelock.LeaderElectionRecord{HolderIdentity: holder})
	}
	err := h.during(t.Context(), func(context.Context) error {
		if err := update("me"); err != nil {
			t.Errorf("renewing: %v", err)
		}
		if err := update(""); !errors.Is(err, errWorking) {
			t.Errorf("giving back while working: %v, want %v", err, errWorking)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := update(""); err != nil {
		t.Errorf("giving back after the work: %v", err)
	}
	if got := lock.holders; len(got) != 2 || got[0] != "me" || got[1] != "" {
		t.Errorf("written holders: %q", got)
	}
}

// refused is a lock whose lease can't be written.
type refused struct{ resourcelock.Interface }

func (refused) Update(context.Context, resourcelock.LeaderElectionRecord) error {
	return errors.New("the object has been modified")
}

// TestFailedRenewalsAreCounted: those of the lease that is held, not what a
// candidate tries.
func TestFailedRenewalsAreCounted(t *testing.T) {
	failed := 0
	h := hold(refused{}, time.Minute, func(time.Time) {}, func() { failed++ })
	renew := func() { _ = h.Update(t.Context(), resourcelock.LeaderElectionRecord{HolderIdentity: "me"}) }
	renew()
	if failed != 0 {
		t.Errorf("a candidate counts %d failed renewals", failed)
	}
	if err := h.during(t.Context(), func(context.Context) error { renew(); renew(); return nil }); err != nil {
		t.Fatal(err)
	}
	if failed != 2 {
		t.Errorf("%d failed renewals are counted, want 2", failed)
	}
}
