package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// The right to use the store may be missing at the start, and go and come back at any time.
// A journal that is required waits for it; an optional one goes on without a store as soon
// as that is certain.

// sureAfter is for how long the right to the store must have been missing until that
// counts. An API server that has just started knows no roles, and denies everything.
const sureAfter = 10 * time.Second

// Denied returns which right is missing, and waited for; nil if there is none.
func (j *Journal) Denied() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.off {
		return nil
	}
	return j.denied
}

// access asks for the right to use the store once, and again while it is missing.
func (j *Journal) access(ctx context.Context) (on bool, err error) {
	j.mu.Lock()
	known := j.checked && !j.off && j.denied == nil
	j.mu.Unlock()
	if known {
		return true, nil
	}
	missing := j.missing(ctx)
	if missing != nil && !errors.Is(missing, kube.ErrNoAccess) {
		return false, missing
	}
	off := j.setDenied(ctx, missing)
	switch {
	case missing == nil:
		return true, nil
	case off:
		return false, nil
	case j.options.Optional:
		return false, fmt.Errorf("making sure for %s: %s", sureAfter, missing) //nolint:errorlint // it does not count yet
	}
	return false, missing
}

// missing asks for the rights to the store.
func (j *Journal) missing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return j.options.Access(ctx)
}

// explain adds to the error of a write which right is missing, if that is why; off tells
// that the journal goes on without the store.
func (j *Journal) explain(ctx context.Context, err error) (off bool, explained error) {
	if !apierrors.IsForbidden(err) {
		return false, err
	}
	missing := j.missing(ctx)
	if !errors.Is(missing, kube.ErrNoAccess) {
		return false, err
	}
	return j.setDenied(ctx, missing), fmt.Errorf("%w: %w", err, missing)
}

// setDenied notes which right is missing, nil for none, and tells whether the journal goes
// on without the store.
func (j *Journal) setDenied(ctx context.Context, missing error) (off bool) {
	j.mu.Lock()
	first, wasOff, wasDenied := !j.checked, j.off, j.denied != nil
	j.checked, j.denied = true, missing
	now := j.options.Clock.Now()
	if missing != nil && !wasDenied {
		j.deniedSince = now
	}
	j.off = missing != nil && j.options.Optional && now.Sub(j.deniedSince) >= sureAfter
	off = j.off
	if off && !wasOff {
		// Nothing is dropped from now on, so that nobody would answer them.
		j.answerAll(nil)
	}
	j.mu.Unlock()
	if first || wasDenied != (missing != nil) {
		j.options.Metrics.SetEnabled(missing == nil)
	}
	switch {
	case off && !wasOff:
		j.report(ctx, fmt.Errorf("volumes are created without a record, and one may be lost if this process crashes: %w", missing))
	case missing != nil && !j.options.Optional:
		j.report(ctx, fmt.Errorf("no volume is created before it can be recorded: %w", missing))
	case missing == nil && wasDenied:
		j.report(ctx, nil)
	}
	return off
}
