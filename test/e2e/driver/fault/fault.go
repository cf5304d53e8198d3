package fault

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// A Fault is one application of a rule to one call. A nil Fault changes
// nothing.
type Fault struct {
	rule    control.Rule
	removed <-chan struct{}
}

// Rule is the ID of the rule, or "".
func (f *Fault) Rule() string {
	if f == nil {
		return ""
	}
	return f.rule.ID
}

// Before does what the rule says before the work: it waits, and returns the
// error with which the call fails. It is Unavailable when the driver stops
// meanwhile. That the client goes changes nothing.
func (f *Fault) Before(stop <-chan struct{}) error {
	if f == nil || f.rule.When == control.After {
		return nil
	}
	return f.act(stop)
}

// After does what the rule says after the work, whose outcome it is given, and
// returns the outcome to answer with.
func (f *Fault) After(stop <-chan struct{}, response proto.Message, err error) (proto.Message, error) {
	if f == nil {
		return response, err
	}
	if f.rule.When == control.After {
		if failure := f.act(stop); failure != nil {
			return nil, failure
		}
	}
	if err != nil {
		return nil, err
	}
	altered, err := alter(f.rule, response)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "altering the response: %v", err)
	}
	return altered, nil
}

func (f *Fault) act(stop <-chan struct{}) error {
	if err := f.wait(stop); err != nil {
		return err
	}
	if f.rule.Code == codes.OK {
		return nil
	}
	return status.Error(f.rule.Code, f.message())
}

func (f *Fault) wait(stop <-chan struct{}) error {
	if f.rule.Delay > 0 {
		timer := time.NewTimer(f.rule.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-stop:
			return status.Error(codes.Unavailable, "the driver stops")
		}
	}
	if f.rule.Hang {
		select {
		case <-f.removed:
		case <-stop:
			return status.Error(codes.Unavailable, "the driver stops")
		}
	}
	return nil
}

func (f *Fault) message() string {
	message := f.rule.Message
	if message == "" {
		message = fmt.Sprintf("failing as %s says", f.rule.ID)
	}
	return message + padding(f.rule.PadBytes-len(message))
}

func padding(bytes int) string { return strings.Repeat("x", max(bytes, 0)) }
