package stage

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// TestInterrupted: only what ended because of an interruption is no failure, whose logs
// are worth keeping.
func TestInterrupted(t *testing.T) {
	signal, failure := errors.New("interrupt signal received"), errors.New("a volume is lost")
	running := t.Context()
	ended, cancel := context.WithCancelCause(running)
	cancel(signal)
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		want bool
	}{
		"a failure":                       {running, failure, false},
		"a failure after an interruption": {ended, failure, false},
		"an interruption":                 {ended, fmt.Errorf("waiting: %w", context.Canceled), true},
		"an interruption by its cause":    {ended, fmt.Errorf("waiting: %w", signal), true},
		"a time that is over":             {running, context.DeadlineExceeded, false},
	} {
		if got := Interrupted(c.ctx, c.err); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}
