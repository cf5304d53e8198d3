// Package record remembers the calls that reached the driver, in memory and in
// a file of JSON lines that outlives the driver.
//
// A line says that a call began or that it ended. The file holds the secrets of
// the calls, as the tests need them: it is readable by its owner only.
package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// gather is how long a waiting reader lets further calls arrive before it looks
// again: thousands of calls a second are not each worth a look at all.
const gather = 2 * time.Millisecond

// An End is how a call ended.
type End struct {
	Seq       int64           `json:"seq"`
	VolumeID  string          `json:"volumeID,omitempty"` // if it became known
	Response  json.RawMessage `json:"response,omitempty"`
	Finished  time.Time       `json:"finished"`
	Code      codes.Code      `json:"code"`
	Message   string          `json:"message,omitempty"`
	Rule      string          `json:"rule,omitempty"`
	Abandoned bool            `json:"abandoned,omitempty"`
}

// A Recorder remembers calls.
type Recorder struct {
	mu      sync.Mutex
	file    *os.File
	calls   []*control.Call // in the order of Seq
	bySeq   map[int64]*control.Call
	last    int64
	changed chan struct{} // closed at each change
	failed  error         // the first failure to write
}

// Open reads the calls in the file, and goes on writing to it.
func Open(path string) (*Recorder, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the record of calls: %w", err)
	}
	r := &Recorder{file: file, bySeq: map[int64]*control.Call{}, changed: make(chan struct{})}
	if err := r.load(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return r, nil
}

// Close ends the writing, and tells of the first failure to write.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.failed, r.file.Close())
}

// Begin records that a call has arrived, and returns its number.
func (r *Recorder) Begin(call control.Call) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	call.Seq = r.last
	r.add(call)
	r.write(line{Begin: &call})
	r.announce()
	return call.Seq
}

// Apply records which rule applies to a running call.
func (r *Recorder) Apply(seq int64, rule string) {
	r.amend(seq, func(c *control.Call) { c.Rule = rule })
}

// Abandon records that the client of a running call has gone.
func (r *Recorder) Abandon(seq int64) {
	r.amend(seq, func(c *control.Call) { c.Abandoned = true })
}

// Finish records how a call ended. Rule and Abandoned are taken from what was
// recorded before.
func (r *Recorder) Finish(end End) {
	r.mu.Lock()
	defer r.mu.Unlock()
	call, ok := r.bySeq[end.Seq]
	if !ok {
		return
	}
	end.Rule, end.Abandoned = call.Rule, call.Abandoned
	r.end(end)
	r.write(line{End: &end})
	r.announce()
}

// List returns the calls that the filter selects, in the order of arrival.
func (r *Recorder) List(filter control.Filter) []control.Call {
	calls, _ := r.look(filter)
	return calls
}

// Wait returns the calls that the filter selects once there are that many. It
// fails when the context ends before.
func (r *Recorder) Wait(ctx context.Context, filter control.Filter, atLeast int) ([]control.Call, error) {
	for {
		calls, changed := r.look(filter)
		if len(calls) >= atLeast {
			return calls, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("there are %d calls of %d: %w", len(calls), atLeast, ctx.Err())
		case <-changed:
		}
		select {
		case <-ctx.Done():
		case <-time.After(gather):
		}
	}
}

// Clear forgets the calls that have ended, or whose process has. Those that
// this process works on stay.
func (r *Recorder) Clear(pid int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	over := func(c *control.Call) bool { return !c.Finished.IsZero() || c.PID != pid }
	for _, call := range r.calls {
		if over(call) {
			delete(r.bySeq, call.Seq)
		}
	}
	r.calls = slices.DeleteFunc(r.calls, over)
	if err := r.file.Truncate(0); err != nil {
		return fmt.Errorf("clearing the record of calls: %w", err)
	}
	r.write(line{Last: r.last})
	for _, call := range r.calls {
		r.write(line{Begin: call})
	}
	return r.failed
}

func (r *Recorder) amend(seq int64, change func(*control.Call)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if call, ok := r.bySeq[seq]; ok {
		change(call)
		r.announce()
	}
}

// look returns the calls that the filter selects, and a channel that is closed
// when there is more to see.
func (r *Recorder) look(filter control.Filter) ([]control.Call, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	selected := []control.Call{}
	for _, call := range r.calls {
		if filter.Matches(*call) {
			selected = append(selected, *call)
		}
	}
	return selected, r.changed
}

func (r *Recorder) add(call control.Call) {
	r.calls = append(r.calls, &call)
	r.bySeq[call.Seq] = &call
}

func (r *Recorder) end(end End) {
	call, ok := r.bySeq[end.Seq]
	if !ok {
		return
	}
	call.Finished, call.Code, call.Message = end.Finished, end.Code, end.Message
	call.Response, call.Rule, call.Abandoned = end.Response, end.Rule, end.Abandoned
	if end.VolumeID != "" {
		call.VolumeID = end.VolumeID
	}
}

func (r *Recorder) announce() {
	close(r.changed)
	r.changed = make(chan struct{})
}
