// Package wait waits: for a time, for a condition, or until something succeeds.
package wait

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// poll is the time between two checks of a condition.
const poll = 20 * time.Millisecond

// ErrNotYet is wrapped by errors of a condition that may still come to hold.
var ErrNotYet = errors.New("not yet")

// Until checks the condition until it holds. It ends with an error when the condition
// returns one that is not ErrNotYet, or when the context ends; the error says what was
// waited for.
func Until(ctx context.Context, what string, condition func() (bool, error)) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	var last error
	for {
		done, err := condition()
		switch {
		case err != nil && !errors.Is(err, ErrNotYet):
			return fmt.Errorf("waiting until %s: %w", what, err)
		case done:
			return nil
		}
		last = err
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, errors.Join(ctx.Err(), last))
		}
	}
}

// Sleep waits for a time, and reports whether the context lasted that long.
func Sleep(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}

// Patience is how long something is tried that must succeed in the end. The zero value
// is a single try.
type Patience struct{ For, Every time.Duration }

// Try does something until it succeeds. The error of the last try says why it did not;
// when the context ends first, the error is the cause of that.
func (p Patience) Try(ctx context.Context, what string, do func() error) error {
	begin := time.Now()
	for {
		err := do()
		switch {
		case err == nil:
			return nil
		case p.For == 0:
			return fmt.Errorf("%s: %w", what, err)
		case time.Since(begin) > p.For:
			return fmt.Errorf("%s, trying for %s: %w", what, p.For, err)
		case !Sleep(ctx, p.Every):
			return context.Cause(ctx)
		}
	}
}
