package chaos

import (
	"time"

	"google.golang.org/grpc/codes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/faults"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// latency is that of a driver that takes its time to make a volume.
const latency = 400 * time.Millisecond

// driverRules chooses how the driver misbehaves. The first rule that matches a
// call applies, so the rare ones come first. A slow driver always takes its time to
// make a volume, others do often.
func (d dice) driverRules(slow bool) []control.Rule {
	var rules []control.Rule
	if d.Chance(15) {
		rules = append(rules, control.Rule{
			Match: control.Match{Method: d.method()}, Hang: true,
			When: faults.Pick(d.Dice, control.Before, control.After), Skip: d.IntN(10), Count: 1 + d.IntN(3),
		})
	}
	if d.Chance(50) {
		for range 1 + d.IntN(4) {
			rules = append(rules, d.failure())
		}
	}
	if slow || d.Chance(40) {
		rules = append(rules, control.Rule{
			Match: control.Match{Method: "CreateVolume"}, Delay: latency, When: faults.Pick(d.Dice, control.Before, control.After),
		})
	}
	if d.Chance(30) {
		rules = append(rules, control.Rule{Match: control.Match{Method: d.method()}, Delay: d.Moment(latency), When: control.After})
	}
	return rules
}

func (d dice) method() string {
	return faults.Pick(d.Dice, "CreateVolume", "CreateVolume", "CreateVolume", "DeleteVolume", "ControllerExpandVolume", "ControllerModifyVolume")
}

// failure makes calls fail. A driver that has made a volume may not say that there
// is none, so a code that says so is for volumes that there are not.
func (d dice) failure() control.Rule {
	rule := control.Rule{
		Match: control.Match{Method: d.method()},
		Skip:  d.IntN(10), Count: 1 + d.IntN(8),
		Delay:   d.Moment(latency / 2),
		Code:    faults.Pick(d.Dice, append(faults.Codes(), codes.ResourceExhausted)...),
		When:    faults.Pick(d.Dice, control.Before, control.After),
		Message: "chaos",
	}
	if rule.Code == codes.ResourceExhausted && rule.Match.Method == "CreateVolume" {
		rule.When, rule.Match.Absent = control.Before, true
	}
	return rule
}

// apiRules chooses how the API server misbehaves for the sidecar.
func (d dice) apiRules() []proxy.Rule {
	if !d.Chance(50) {
		return nil
	}
	var rules []proxy.Rule
	for range 1 + d.IntN(5) {
		rule := proxy.Rule{
			Match: faults.Pick(d.Dice, faults.SidecarRequests()...),
			Skip:  d.IntN(6), Count: 1 + d.IntN(5),
			When: faults.Pick(d.Dice, proxy.Before, proxy.After),
		}
		if d.Chance(20) {
			rule.Hold = true
		} else {
			rule.Status = faults.Pick(d.Dice, faults.Answers()...)
		}
		rules = append(rules, rule)
	}
	return rules
}
