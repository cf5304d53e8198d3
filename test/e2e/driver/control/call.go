package control

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// A Call is one call that reached the driver.
type Call struct {
	// Seq numbers the calls in the order of their arrival, from 1. Numbers
	// are never used again, not after a restart and not after ClearCalls.
	Seq int64 `json:"seq"`

	// Method is the bare name of the method, such as "CreateVolume".
	Method string `json:"method"`

	// VolumeID and VolumeName tell the volume as far as the driver knows it.
	VolumeID   string `json:"volumeID,omitempty"`
	VolumeName string `json:"volumeName,omitempty"`

	// Request is the whole request but its secrets, in the protobuf JSON
	// form; see [Call.DecodeRequest].
	Request json.RawMessage `json:"request"`

	// Secrets are the request's secrets.
	Secrets map[string]string `json:"secrets,omitempty"`

	// Response is the response, in the same form. It is left out if the call
	// failed or the response is larger than 64 KiB.
	Response json.RawMessage `json:"response,omitempty"`

	// Rule is the ID of the rule that applied.
	Rule string `json:"rule,omitempty"`

	Started time.Time `json:"started"`
	// Finished is when the driver was done with the call, which may be later
	// than the client was. It is zero while it works.
	Finished time.Time `json:"finished,omitzero"`

	// Code and Message are how the call ended in the driver.
	Code    codes.Code `json:"code"`
	Message string     `json:"message,omitempty"`

	// Abandoned says that the client had gone before the call ended.
	Abandoned bool `json:"abandoned,omitempty"`

	// PID is the driver's process, to tell a driver from its successor. A
	// call of an earlier process that never finished stays unfinished.
	PID int `json:"pid"`
}

// String tells the call in a line: the keys of its secrets, not their values.
func (c Call) String() string {
	end := "running"
	if !c.Finished.IsZero() {
		end = fmt.Sprintf("%s %s after %v", c.Code, c.Message, c.Finished.Sub(c.Started))
	}
	return fmt.Sprintf("#%d %s volume %q (%s) request %s secrets %v rule %q abandoned %t: %s", c.Seq, c.Method,
		c.VolumeName, c.VolumeID, c.Request, slices.Sorted(maps.Keys(c.Secrets)), c.Rule, c.Abandoned, end)
}

// DecodeRequest fills a request message, such as a *csi.CreateVolumeRequest.
// Its secrets stay empty: they are in [Call.Secrets].
func (c Call) DecodeRequest(into proto.Message) error { return c.decode(c.Request, into) }

// DecodeResponse fills a response message, such as a
// *csi.CreateVolumeResponse. It is an error if there is none.
func (c Call) DecodeResponse(into proto.Message) error { return c.decode(c.Response, into) }

func (c Call) decode(from json.RawMessage, into proto.Message) error {
	if err := protojson.Unmarshal(from, into); err != nil {
		return fmt.Errorf("decoding call %d (%s): %w", c.Seq, c.Method, err)
	}
	return nil
}

// State is how far a call has come.
type State string

const (
	// Any call, whether it works or has finished. The default.
	Any State = ""
	// Running calls have arrived and have not finished.
	Running State = "running"
	// Finished calls have.
	Finished State = "finished"
	// Abandoned calls are those whose client has gone, whether the driver
	// still works on them or not.
	Abandoned State = "abandoned"
)

// A Filter selects calls. All that is set must hold.
type Filter struct {
	// Method is the bare name of the method.
	Method string
	// Volume is a part of the volume's name or of its ID.
	Volume string
	// Rule is the ID of the rule that applied. With State Running this tells
	// whether a call has reached a rule that delays it or makes it hang.
	Rule string
	// State is how far the call has come.
	State State
	// After selects the calls whose Seq is larger.
	After int64
}

// Matches says whether the filter selects the call.
func (f Filter) Matches(c Call) bool {
	switch {
	case f.Method != "" && f.Method != c.Method,
		f.Volume != "" && !strings.Contains(c.VolumeName, f.Volume) && !strings.Contains(c.VolumeID, f.Volume),
		f.Rule != "" && f.Rule != c.Rule,
		f.State == Running && !c.Finished.IsZero(),
		f.State == Finished && c.Finished.IsZero(),
		f.State == Abandoned && !c.Abandoned:
		return false
	}
	return c.Seq > f.After
}

// Query is the filter as the parameters of GET /calls.
func (f Filter) Query() url.Values {
	query := url.Values{}
	for key, value := range map[string]string{
		"method": f.Method, "volume": f.Volume, "rule": f.Rule, "state": string(f.State),
	} {
		if value != "" {
			query.Set(key, value)
		}
	}
	if f.After != 0 {
		query.Set("after", strconv.FormatInt(f.After, 10))
	}
	return query
}

// ParseFilter is the reverse of [Filter.Query].
func ParseFilter(query url.Values) (Filter, error) {
	f := Filter{
		Method: query.Get("method"),
		Volume: query.Get("volume"),
		Rule:   query.Get("rule"),
		State:  State(query.Get("state")),
	}
	switch f.State {
	case Any, Running, Finished, Abandoned:
	default:
		return Filter{}, fmt.Errorf("state is %q: want %q, %q or %q", f.State, Running, Finished, Abandoned)
	}
	if after := query.Get("after"); after != "" {
		seq, err := strconv.ParseInt(after, 10, 64)
		if err != nil {
			return Filter{}, fmt.Errorf("parsing after: %w", err)
		}
		f.After = seq
	}
	return f, nil
}
