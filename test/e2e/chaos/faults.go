package chaos

import (
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// latency is that of a driver that takes its time to make a volume.
const latency = 400 * time.Millisecond

// driverRules chooses how the driver misbehaves. The first rule that matches a
// call applies, so the rare ones come first. A slow driver always takes its time to
// make a volume, others do often.
func (d dice) driverRules(slow bool) []control.Rule {
	var rules []control.Rule
	if d.chance(15) {
		rules = append(rules, control.Rule{
			Match: control.Match{Method: d.method()}, Hang: true,
			When: pick(d, control.Before, control.After), Skip: d.IntN(10), Count: 1 + d.IntN(3),
		})
	}
	if d.chance(50) {
		for range 1 + d.IntN(4) {
			rules = append(rules, d.failure())
		}
	}
	if slow || d.chance(40) {
		rules = append(rules, control.Rule{
			Match: control.Match{Method: "CreateVolume"}, Delay: latency, When: pick(d, control.Before, control.After),
		})
	}
	if d.chance(30) {
		rules = append(rules, control.Rule{Match: control.Match{Method: d.method()}, Delay: d.moment(latency), When: control.After})
	}
	return rules
}

func (d dice) method() string {
	return pick(d, "CreateVolume", "CreateVolume", "CreateVolume", "DeleteVolume", "ControllerExpandVolume", "ControllerModifyVolume")
}

// failure makes calls fail. A driver that has made a volume may not say that there
// is none, so a code that says so is for volumes that there are not.
func (d dice) failure() control.Rule {
	rule := control.Rule{
		Match: control.Match{Method: d.method()},
		Skip:  d.IntN(10), Count: 1 + d.IntN(8),
		Delay:   d.moment(latency / 2),
		Code:    pick(d, codes.Unknown, codes.Internal, codes.DeadlineExceeded, codes.Unavailable, codes.Aborted, codes.ResourceExhausted),
		When:    pick(d, control.Before, control.After),
		Message: "chaos",
	}
	if rule.Code == codes.ResourceExhausted && rule.Match.Method == "CreateVolume" {
		rule.When, rule.Match.Absent = control.Before, true
	}
	return rule
}

// apiRules chooses how the API server misbehaves for the sidecar.
func (d dice) apiRules() []proxy.Rule {
	if !d.chance(50) {
		return nil
	}
	const object = `/[^/]+$`
	writes := []proxy.Match{
		{Method: http.MethodPost, Path: `/persistentvolumes$`},
		{Method: http.MethodPatch, Path: `/persistentvolumes` + object},
		{Method: http.MethodDelete, Path: `/persistentvolumes` + object},
		{Method: http.MethodPatch, Path: `/persistentvolumeclaims/[^/]+/status$`},
		{Method: http.MethodPost, Path: `/configmaps$`},
		{Method: http.MethodPatch, Path: `/configmaps` + object},
		{Method: http.MethodDelete, Path: `/configmaps` + object},
		{Method: http.MethodGet, Path: `/secrets` + object},
		{Method: http.MethodPut, Path: `/leases` + object},
	}
	answers := []func() *metav1.Status{
		proxy.Conflict, proxy.InternalError, proxy.Timeout,
		func() *metav1.Status { return proxy.TooManyRequests(1) },
	}
	var rules []proxy.Rule
	for range 1 + d.IntN(5) {
		rule := proxy.Rule{
			Match: pick(d, writes...),
			Skip:  d.IntN(6), Count: 1 + d.IntN(5),
			When: pick(d, proxy.Before, proxy.After),
		}
		if d.chance(20) {
			rule.Hold = true
		} else {
			rule.Status = pick(d, answers...)()
		}
		rules = append(rules, rule)
	}
	return rules
}
