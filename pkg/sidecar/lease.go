package sidecar

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// held is a lock that ends the work when the lease is not renewed in time. The
// elector does so only after it has tried, for up to the renew deadline once more,
// to give the lost lease back; another process may be at work by then.
type held struct {
	resourcelock.Interface
	term time.Duration
	// failed is called when the lease that is held can't be renewed at once, and
	// is read to be renewed.
	failed func()
	// until is told when the term ends, each time that it begins anew.
	until  func(time.Time)
	expiry *time.Timer
	lost   chan struct{}
	// working tells that work has not ended; until then the lease is kept.
	working atomic.Bool
}

// errWorking is why a lease is not given back.
var errWorking = errors.New("the lease is not given back: what it was taken for has not ended yet")

// hold returns a lock whose lease counts as lost when it has not been renewed for
// the term; until is told when that is, failed is called for each renewal that fails.
func hold(lock resourcelock.Interface, term time.Duration, until func(time.Time), failed func()) *held {
	lost := make(chan struct{}, 1)
	expiry := time.AfterFunc(term, func() { signal(lost) })
	expiry.Stop() // There is no lease to lose yet.
	return &held{Interface: lock, term: term, failed: failed, until: until, expiry: expiry, lost: lost}
}

// Create implements resourcelock.Interface.
func (h *held) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	began := time.Now()
	return h.extend(began, h.Interface.Create(ctx, record))
}

// Update implements resourcelock.Interface.
func (h *held) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if record.HolderIdentity == "" && h.working.Load() {
		// The elector gives a lease back before the work that it has cancelled
		// has ended. It runs out by itself instead.
		return errWorking
	}
	began := time.Now()
	err := h.Interface.Update(ctx, record)
	if err != nil && h.working.Load() {
		h.failed()
	}
	if record.HolderIdentity == "" {
		h.until(began)
		return err
	}
	return h.extend(began, err)
}

func (h *held) extend(began time.Time, err error) error {
	if err == nil {
		h.until(began.Add(h.term))
		h.expiry.Reset(h.term - time.Since(began))
	}
	return err
}

// during works while the lease is held; the error is errLost, too, when that
// was not until the end.
func (h *held) during(ctx context.Context, work func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-h.lost:
			cancel(errLost)
		case <-ctx.Done():
		}
	}()
	h.working.Store(true)
	err := work(ctx)
	h.working.Store(false)
	if errors.Is(context.Cause(ctx), errLost) {
		return errors.Join(errLost, err)
	}
	return err
}

// isFree tells whether the object is a lease that nobody holds.
func isFree(object runtime.Object) bool {
	lease, ok := object.(*coordinationv1.Lease)
	return ok && (lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "")
}

// signal notes something for a reader that needs to know only that it happened.
func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
