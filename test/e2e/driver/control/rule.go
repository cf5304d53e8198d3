package control

import (
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
)

// When says on which side of the work a rule's Delay, Hang and Code act.
type When string

const (
	// Before the work: an error leaves nothing behind. The default.
	Before When = "before"
	// After the work: an error hides what was done.
	After When = "after"
)

// A Rule changes the outcome of the calls that it matches. Its effects come in
// the order of the fields: a call waits for Delay, then hangs, then fails; or,
// if it does not fail, has its response altered.
type Rule struct {
	// ID names the rule. The driver chooses one if it is empty; adding a rule
	// whose ID exists is an error.
	ID string `json:"id,omitempty"`

	// Match selects the calls. The zero value selects all of them.
	Match Match `json:"match"`

	// Skip is how many matching calls are let through first.
	Skip int `json:"skip,omitempty"`

	// Count is how many calls the rule applies to after that. Zero is all of
	// them, until the rule is removed.
	Count int `json:"count,omitempty"`

	// When is the side of the work on which Delay, Hang and Code act.
	When When `json:"when,omitempty"`

	// Delay is how long the call waits. It goes on waiting, and then works,
	// when the client gives up meanwhile, as real drivers do.
	Delay time.Duration `json:"delayNanoseconds,omitempty"`

	// Hang keeps the call until the rule is removed, and then lets it go on.
	// The client is answered when its own deadline passes.
	Hang bool `json:"hang,omitempty"`

	// Code is the gRPC code with which the call fails, whatever the work
	// said. Zero (OK) does not fail it.
	Code codes.Code `json:"code,omitempty"`

	// Message is the error's message.
	Message string `json:"message,omitempty"`

	// Response is a JSON merge patch (RFC 7386) for the response in the
	// protobuf JSON form: {"volume": null} takes the volume away, and
	// {"volume": {"capacityBytes": "1"}} says that it has one byte.
	Response json.RawMessage `json:"response,omitempty"`

	// CapacityDelta is added to the capacity in the response of CreateVolume,
	// ControllerExpandVolume, NodeExpandVolume and GetCapacity, in bytes.
	CapacityDelta int64 `json:"capacityDelta,omitempty"`

	// PadBytes makes the answer at least that large: the message if Code is
	// set, else the volume context of CreateVolume. In bytes.
	PadBytes int `json:"padBytes,omitempty"`
}

// Match selects calls. All that is set must hold.
type Match struct {
	// Method is the bare name of the method, such as "NodeExpandVolume".
	Method string `json:"method,omitempty"`

	// Volume is a part of the volume's name or of its ID. It works for the
	// calls that carry only the ID too.
	Volume string `json:"volume,omitempty"`

	// Parameters must be among the volume's parameters: those of the request
	// for CreateVolume, those that the volume was made with for other calls.
	Parameters map[string]string `json:"parameters,omitempty"`

	// MinRequiredBytes selects the calls that ask for at least that much:
	// sizes that are infeasible while smaller ones are not.
	MinRequiredBytes int64 `json:"minRequiredBytes,omitempty"`

	// Absent selects the calls for volumes that the driver does not have:
	// CreateVolume, until it has made the volume.
	Absent bool `json:"absent,omitempty"`
}

// RuleStatus is a rule and what became of it.
type RuleStatus struct {
	Rule
	// Hits is how many calls the rule has been applied to.
	Hits int `json:"hits"`
	// Skipped is how many it has let through because of Skip.
	Skipped int `json:"skipped"`
}

// Validate says what is wrong with the rule, or nil.
func (r Rule) Validate() error {
	switch r.When {
	case "", Before, After:
	default:
		return fmt.Errorf("when is %q: want %q or %q", r.When, Before, After)
	}
	if r.Skip < 0 || r.Count < 0 || r.PadBytes < 0 || r.Delay < 0 {
		return fmt.Errorf("skip, count, padBytes and delay may not be negative")
	}
	if len(r.Response) > 0 && !json.Valid(r.Response) {
		return fmt.Errorf("response is not JSON")
	}
	return nil
}

// NoVolume is the Response of a CreateVolume that answers without a volume.
func NoVolume() json.RawMessage { return json.RawMessage(`{"volume":null}`) }

// VolumeCapacity is the Response of a CreateVolume that says that the volume
// has so many bytes.
func VolumeCapacity(bytes int64) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"volume":{"capacityBytes":"%d"}}`, bytes))
}

// ExpandedCapacity is the Response of a ControllerExpandVolume or
// NodeExpandVolume that says that the volume has so many bytes.
func ExpandedCapacity(bytes int64) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"capacityBytes":"%d"}`, bytes))
}

// NoTopology is the Response of a CreateVolume whose volume is accessible
// from everywhere.
func NoTopology() json.RawMessage {
	return json.RawMessage(`{"volume":{"accessibleTopology":null}}`)
}
