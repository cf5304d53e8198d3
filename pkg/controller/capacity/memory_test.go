package capacity_test

import (
	"fmt"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller/capacity"
	"github.com/csi-provisioner/csi-provisioner/test/tables"
)

// When all places and classes have gone, nothing of them is kept, whatever the driver
// and the API server have said to them.
func TestNothingIsKeptOfManyPlaces(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const places = 3000
		w.run()
		var all []*storagev1.StorageClass
		for c := range 4 {
			all = append(all, w.class(fmt.Sprint("class-", c)))
		}
		for n := range places {
			w.node(fmt.Sprint("node-", n), fmt.Sprint("zone-", n))
		}
		w.pass(retryStart)
		calls := 0
		w.reports(func(*csipb.GetCapacityRequest) (*csipb.GetCapacityResponse, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if calls++; calls%3 == 0 {
				return nil, status.Error(codes.Unimplemented, "no")
			}
			return &csipb.GetCapacityResponse{AvailableCapacity: int64(calls)}, nil
		})
		w.pass(pollInterval) // Own writes, and failures.
		for n := range places {
			w.DeleteNode(fmt.Sprint("node-", n))
			w.DeleteRegistration(fmt.Sprint("node-", n))
		}
		for _, class := range all {
			w.removeClass(class)
		}
		w.pass(pollInterval)
		if got := w.Counts(); got != (capacity.Counts{}) || len(w.stored) > 0 {
			t.Errorf("counted are %+v; there are %d objects", got, len(w.stored))
		}
		if kept := tables.NotEmpty(w.Controller, "deps", "config"); len(kept) > 0 {
			t.Errorf("kept is %q", kept)
		}
	})
}
