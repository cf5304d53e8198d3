package csi_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

func TestTimeoutBoundsEachCall(t *testing.T) {
	for verb := range verbs(newBusy()) {
		t.Run(verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				driver := newBusy()
				if err := verbs(timed(driver, callDuration/2))[verb](t.Context(), "slow"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the call that takes too long has the error %v", err)
				}
				if err := verbs(timed(driver, 2*callDuration))[verb](t.Context(), "quick"); err != nil {
					t.Errorf("the call that is quick enough has the error %v", err)
				}
			})
		})
	}
}

// gRPC's own words for it say neither how long it took nor what to do.
func TestTimeoutExplainsItself(t *testing.T) {
	conn := connected(t, &driver{
		createVolume: func(ctx context.Context, _ *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		deleteVolume: func(*csipb.DeleteVolumeRequest) error {
			return status.Error(codes.DeadlineExceeded, "the storage took too long")
		},
	})
	const timeout = 50 * time.Millisecond
	err := verbs(timed(conn, timeout))["CreateVolume"](t.Context(), "slow")
	if csi.Classify(err) != csi.Pending || !strings.Contains(csi.Message(err), "within 50ms (--time-for-CreateVolume)") {
		t.Errorf("the call that takes too long has the error %v", err)
	}
	// The driver's own timeout is its own.
	err = verbs(timed(conn, time.Minute))["DeleteVolume"](t.Context(), "quick")
	if want := "DeadlineExceeded: the storage took too long"; csi.Message(err) != want {
		t.Errorf("the driver's own error has become %q, want %q", csi.Message(err), want)
	}
}

// The time that a call waits for its turn must not be taken from the driver.
func TestTimeoutBeginsWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 3 * callDuration / 2
		driver := newBusy()
		create := verbs(limited(timed(driver, timeout), 1, nil))["CreateVolume"]
		var running sync.WaitGroup
		for n := range 4 {
			running.Go(func() {
				if err := create(t.Context(), fmt.Sprint(n)); err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
		if want := slices.Repeat([]time.Duration{timeout}, 4); !slices.Equal(driver.deadline, want) {
			t.Errorf("the calls had %v, want %v", driver.deadline, want)
		}
	})
}
