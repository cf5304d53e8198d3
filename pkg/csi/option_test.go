package csi_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

// What a call was decided on may change while it waits for its turn.
func TestCallsAreWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		driver := newBusy()
		limited := csi.Limit(driver, 1, nil)
		var retained error // what the check says
		remove := func(name string) error {
			return limited.DeleteVolume(t.Context(), &csipb.DeleteVolumeRequest{VolumeId: name}, csi.IfStill(func() error { return retained }))
		}
		var running sync.WaitGroup
		running.Go(func() {
			if err := remove("first"); err != nil {
				t.Errorf("the call whose reason remains has the error %v", err)
			}
		})
		synctest.Wait()
		var withdrawn error
		running.Go(func() { withdrawn = remove("waiting") })
		synctest.Wait()
		retained = errors.New("the policy is Retain")
		running.Wait()
		if !errors.Is(withdrawn, csi.ErrWithdrawn) || !errors.Is(withdrawn, retained) {
			t.Errorf("the call whose reason has gone has the error %v", withdrawn)
		}
		// The slot is free again.
		if err := limited.DeleteVolume(t.Context(), &csipb.DeleteVolumeRequest{VolumeId: "last"}); err != nil {
			t.Error(err)
		}
		if want := []string{"delete first", "delete last"}; !slices.Equal(driver.begun, want) {
			t.Errorf("the driver got %q, want %q", driver.begun, want)
		}
	})
}
