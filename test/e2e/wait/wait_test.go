package wait

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

var errBusy = errors.New("busy")

func TestUntil(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		condition func(times int) (bool, error)
		want      error
		times     int
	}{
		"it holds after a while": {func(times int) (bool, error) { return times == 3, nil }, nil, 3},
		"an error ends it":       {func(int) (bool, error) { return false, errBusy }, errBusy, 1},
		"unless it may still hold": {func(times int) (bool, error) {
			return times == 3, fmt.Errorf("%w: %w", ErrNotYet, errBusy)
		}, nil, 3},
		"the context ends": {func(int) (bool, error) { return false, nil }, context.DeadlineExceeded, 51},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 50*poll+1)
				defer cancel()
				times := 0
				err := Until(ctx, "it holds", func() (bool, error) { times++; return c.condition(times) })
				if !errors.Is(err, c.want) || times != c.times {
					t.Errorf("after %d checks: %v, want %v after %d", times, err, c.want, c.times)
				}
			})
		})
	}
}

func TestPatience(t *testing.T) {
	t.Parallel()
	stopped := errors.New("stopped")
	for name, c := range map[string]struct {
		patience Patience
		succeeds int // which try
		want     error
		took     time.Duration
	}{
		"it succeeds in the end":       {Patience{time.Minute, time.Second}, 4, nil, 3 * time.Second},
		"the patience ends":            {Patience{5 * time.Second, time.Second}, 100, errBusy, 6 * time.Second},
		"without patience it ends":     {Patience{}, 2, errBusy, 0},
		"the cause of the end is told": {Patience{time.Hour, time.Second}, 10000, stopped, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute-1, stopped)
				defer cancel()
				begin, tries := time.Now(), 0
				err := c.patience.Try(ctx, "doing it", func() error {
					if tries++; tries == c.succeeds {
						return nil
					}
					return errBusy
				})
				if !errors.Is(err, c.want) || time.Since(begin).Round(time.Second) != c.took {
					t.Errorf("after %s: %v, want %v after %s", time.Since(begin), err, c.want, c.took)
				}
			})
		})
	}
}
