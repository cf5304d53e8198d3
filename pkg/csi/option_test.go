package csi_test

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

// What a call was decided on may change while it waits for its turn.
func TestCallsAreWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		driver := newBusy()
		remove := verbs(limited(driver, 1, nil))["DeleteVolume"]
		retained := errors.New("the policy is Retain")
		var isRetained atomic.Bool
		still := csi.IfStill(func() error {
			if isRetained.Load() {
				return retained
			}
			return nil
		})
		var running sync.WaitGroup
		running.Go(func() {
			if err := remove(t.Context(), "first", still); err != nil {
				t.Errorf("the call whose reason remains has the error %v", err)
			}
		})
		synctest.Wait()
		var withdrawn error
		running.Go(func() { withdrawn = remove(t.Context(), "waiting", still) })
		synctest.Wait()
		isRetained.Store(true)
		running.Wait()
		if !errors.Is(withdrawn, csi.ErrWithdrawn) || !errors.Is(withdrawn, retained) {
			t.Errorf("the call whose reason has gone has the error %v", withdrawn)
		}
		// The slot is free again.
		if err := remove(t.Context(), "last"); err != nil {
			t.Error(err)
		}
		if want := []string{"DeleteVolume first", "DeleteVolume last"}; !slices.Equal(driver.begun, want) {
			t.Errorf("the driver got %q, want %q", driver.begun, want)
		}
	})
}
