package sidecar

import (
	"slices"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

// calls returns the connection on which controllers call the driver, within the
// budgets; after stop nothing is called. The interceptors that are given are outside
// of all others. See the doc comment of pkg/csi for the order.
func (p *process) calls(budgets csi.Budgets, stop <-chan struct{}, outside ...grpc.UnaryClientInterceptor) grpc.ClientConnInterface {
	return csi.Chain(p.conn, slices.Concat(
		outside,
		[]grpc.UnaryClientInterceptor{csi.Limit(budgets, stop), csi.CheckStill, p.fence.driver},
		failpointsAtDriver(),
		[]grpc.UnaryClientInterceptor{csi.Timeout(budgets)},
	)...)
}

// budgets are those of the calls that change volumes.
func (p *process) budgets() csi.Budgets {
	c := p.config
	volumes := csi.Budget{Calls: c.Work.Threads, Timeout: c.CSI.Timeout, Flag: "--timeout"}
	return csi.Budgets{
		csipb.Controller_CreateVolume_FullMethodName: volumes,
		csipb.Controller_DeleteVolume_FullMethodName: volumes,
		csipb.Controller_ControllerExpandVolume_FullMethodName: {
			Calls: c.Resizer.Threads, Timeout: c.Resizer.ExpandTimeout, Flag: "--resize-timeout",
		},
		csipb.Controller_ControllerModifyVolume_FullMethodName: {
			Calls: c.Resizer.Threads, Timeout: c.Resizer.ModifyTimeout, Flag: "--modify-timeout",
		},
	}
}

// room returns the driver to be asked for the room that it has, so often at one time.
// Each of those who ask has slots of its own: many places that are published must not
// keep claims waiting.
func (p *process) room(calls int, stop <-chan struct{}) csi.Capacity {
	return csi.NewCapacity(p.calls(csi.Budgets{
		csipb.Controller_GetCapacity_FullMethodName: {Calls: calls, Timeout: p.config.CSI.Timeout, Flag: "--timeout"},
	}, stop))
}
