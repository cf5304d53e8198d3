package controller_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
)

func TestTerminal(t *testing.T) {
	if err := controller.Terminal(nil); err != nil {
		t.Errorf("Terminal(nil) = %v", err)
	}
	cause := errBroken()
	err := controller.Terminal(cause)
	if err.Error() != cause.Error() || !errors.Is(err, cause) {
		t.Errorf("Terminal(%q) is %q, and hides its cause", cause, err)
	}
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"nil":            {nil, false},
		"other":          {cause, false},
		"terminal":       {err, true},
		"wrapped":        {fmt.Errorf("creating: %w", err), true},
		"not wrapped":    {fmt.Errorf("creating: %v", err), false},
		"terminal twice": {controller.Terminal(err), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := controller.IsTerminal(test.err); got != test.want {
				t.Errorf("IsTerminal(%v) = %t", test.err, got)
			}
		})
	}
}
