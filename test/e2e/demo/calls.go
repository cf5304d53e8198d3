package demo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

const followEvery = 50 * time.Millisecond

// teller tells of each call that changes something at the driver, once.
type teller struct {
	mu sync.Mutex
	// after is the number up to which all calls have ended, and are told.
	after int64
	// told are the calls after that which are told: an earlier one has not ended yet.
	told map[int64]bool
}

// next returns the calls that have ended and are not told, and takes them for told. The
// calls are all those after the number, in the order of their arrival, which is not that of
// their ends.
func (t *teller) next(calls []control.Call) []control.Call {
	var ended []control.Call
	awaited := false
	for _, call := range calls {
		running := call.Finished.IsZero()
		awaited = awaited || running
		if !running && !t.told[call.Seq] {
			ended = append(ended, call)
			t.told[call.Seq] = true
		}
		if !awaited {
			t.after = call.Seq
			delete(t.told, call.Seq)
		}
	}
	return ended
}

// followCalls tells of calls as they come.
func (s *story) followCalls(ctx context.Context) {
	for wait.Sleep(ctx, followEvery) {
		s.tellCalls(ctx)
	}
}

// tellCalls tells of the calls that have ended by now.
func (s *story) tellCalls(ctx context.Context) {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	told := []string{"CreateVolume", "DeleteVolume", "ControllerExpandVolume", "NodeExpandVolume", "NodeStageVolume", "NodePublishVolume", "NodeUnpublishVolume", "NodeUnstageVolume"}
	calls, err := s.driver.Control.Calls(ctx, control.Filter{After: s.calls.after})
	if err != nil {
		return // the story ends, or the next look tells
	}
	for _, call := range s.calls.next(calls) {
		if slices.Contains(told, call.Method) {
			s.line("driver: " + describe(call))
		}
	}
}

// describe shows a call, how it ended and why, with the keys of its secrets, never their
// values.
func describe(call control.Call) string {
	text := call.Method + " " + call.VolumeID
	switch call.Method {
	case "CreateVolume":
		var request csipb.CreateVolumeRequest
		if err := call.DecodeRequest(&request); err == nil {
			text = call.Method + " " + request.GetName() + size(request.GetCapacityRange())
		}
	case "ControllerExpandVolume":
		var request csipb.ControllerExpandVolumeRequest
		if err := call.DecodeRequest(&request); err == nil {
			text += size(request.GetCapacityRange())
		}
	}
	if len(call.Secrets) > 0 {
		text += ", with secrets of the keys " + strings.Join(slices.Sorted(maps.Keys(call.Secrets)), ", ")
	}
	text += ": " + call.Code.String()
	if call.Message != "" {
		text += ", " + call.Message
	}
	return text
}

func size(r *csipb.CapacityRange) string {
	return fmt.Sprintf(", required_bytes %d (%s)", r.GetRequiredBytes(), resource.NewQuantity(r.GetRequiredBytes(), resource.BinarySI))
}
