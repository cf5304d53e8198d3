package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

const followEvery = 50 * time.Millisecond

// followCalls tells of each call that changes something at the driver.
func (s *story) followCalls(ctx context.Context) {
	told := []string{"CreateVolume", "DeleteVolume", "NodeStageVolume", "NodePublishVolume", "NodeUnpublishVolume", "NodeUnstageVolume"}
	var after int64
	for {
		calls, err := s.driver.Control.Calls(ctx, control.Filter{State: control.Finished, After: after})
		if err == nil {
			for _, call := range calls {
				after = max(after, call.Seq)
				if slices.Contains(told, call.Method) {
					s.line("driver: " + describe(call))
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(followEvery):
		}
	}
}

// describe shows a call with the keys of its secrets, never their values.
func describe(call control.Call) string {
	text := call.Method
	if call.Method == "CreateVolume" {
		var request csipb.CreateVolumeRequest
		if err := call.DecodeRequest(&request); err == nil {
			size := resource.NewQuantity(request.GetCapacityRange().GetRequiredBytes(), resource.BinarySI)
			text += fmt.Sprintf(" %s, %s", request.GetName(), size)
		}
	} else {
		text += " " + call.VolumeID
	}
	if len(call.Secrets) > 0 {
		text += ", with the secrets " + strings.Join(slices.Sorted(maps.Keys(call.Secrets)), ", ")
	}
	return text + ": " + call.Code.String()
}
