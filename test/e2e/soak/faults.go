package soak

import (
	"context"
	"fmt"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/faults"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

const (
	// shortest and longest are the limits of how long a fault lasts.
	shortest = 500 * time.Millisecond
	longest  = 3 * time.Second
)

// trouble injects one fault after the other until it is over.
func (k *soak) trouble(ctx, over context.Context, dice faults.Dice) {
	k.injector.Over = over.Done()
	for wait.Sleep(over, dice.Moment(2*k.options.FaultEvery)) {
		if err := k.injector.Inject(ctx, choose(dice)); err != nil && ctx.Err() == nil {
			k.options.Progress(fmt.Sprintf("a fault could not be injected: %v", err))
		}
	}
}

// choose chooses a fault. Those that are more frequent are there twice.
func choose(dice faults.Dice) faults.Fault {
	fault := faults.Fault{For: dice.Between(shortest, longest)}
	fault.Kind = faults.Pick(dice,
		faults.DriverErrors, faults.DriverErrors, faults.DriverHangs, faults.KillDriver,
		faults.APIErrors, faults.APIErrors, faults.APIHangs,
		faults.PauseAPIServer, faults.PauseEtcd, faults.RestartAPIServer)
	switch fault.Kind {
	case faults.DriverErrors:
		fault.Driver = control.Rule{
			Match: control.Match{Method: method(dice)}, Code: faults.Pick(dice, faults.Codes()...),
			When: faults.Pick(dice, control.Before, control.After), Message: "soak",
		}
	case faults.DriverHangs:
		fault.Driver = control.Rule{
			Match: control.Match{Method: method(dice)}, Hang: true, When: faults.Pick(dice, control.Before, control.After),
		}
	case faults.APIErrors:
		fault.API = requests(dice)
		fault.API.Status = faults.Pick(dice, faults.Answers()...)
	case faults.APIHangs:
		fault.API = requests(dice)
		fault.API.Hold = true
	default:
		// The others need no rule.
	}
	return fault
}

// method is that of the driver's calls that a fault is about.
func method(dice faults.Dice) string {
	return faults.Pick(dice, "CreateVolume", "DeleteVolume", "ControllerExpandVolume")
}

// requests is a rule for some of the sidecar's requests to the API server.
func requests(dice faults.Dice) proxy.Rule {
	return proxy.Rule{Match: faults.Pick(dice, faults.SidecarRequests()...), When: faults.Pick(dice, proxy.Before, proxy.After)}
}
