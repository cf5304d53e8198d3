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
)

const followEvery = 50 * time.Millisecond

// teller tells of each call that changes something at the driver, once.
type teller struct {
	mu    sync.Mutex
	after int64
}

// followCalls tells of calls as they come.
func (s *story) followCalls(ctx context.Context) {
	for {
		s.tellCalls(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(followEvery):
		}
	}
}

// tellCalls tells of the calls that have ended by now.
func (s *story) tellCalls(ctx context.Context) {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	told := []string{"CreateVolume", "DeleteVolume", "ControllerExpandVolume", "NodeExpandVolume", "NodeStageVolume", "NodePublishVolume", "NodeUnpublishVolume", "NodeUnstageVolume"}
	calls, err := s.driver.Control.Calls(ctx, control.Filter{State: control.Finished, After: s.calls.after})
	if err != nil {
		return // the story ends, or the next look tells
	}
	for _, call := range calls {
		s.calls.after = max(s.calls.after, call.Seq)
		if slices.Contains(told, call.Method) {
			s.line("driver: " + describe(call))
		}
	}
}

// describe shows a call with the keys of its secrets, never their values.
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
	return text + ": " + call.Code.String()
}

func size(r *csipb.CapacityRange) string {
	return fmt.Sprintf(", required_bytes %d (%s)", r.GetRequiredBytes(), resource.NewQuantity(r.GetRequiredBytes(), resource.BinarySI))
}
