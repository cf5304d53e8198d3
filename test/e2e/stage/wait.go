package stage

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const poll = 20 * time.Millisecond

// errNotYet is wrapped by errors of a condition that may pass.
var errNotYet = errors.New("not yet")

// Until asks again and again until the condition holds. It ends with an error
// when the condition has one that is not "not yet", or the context ends; the
// error says what was waited for.
func Until(ctx context.Context, what string, condition func() (bool, error)) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	var last error
	for {
		done, err := condition()
		switch {
		case err != nil && !errors.Is(err, errNotYet):
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
