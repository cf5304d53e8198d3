// Package csi is the way to the CSI driver: the connection, what the driver is
// and can do, the calls that change volumes, and what their errors mean.
//
// What all calls have in common is done by gRPC interceptors, each of which knows the
// method that is called. [Dial] puts those around the connection that every call needs:
// logs, metrics, and errors without secrets. [Chain] puts those before it that only
// the controllers' calls need. A call of a controller goes through them in this order:
//
//	OnExhausted ▸ Limit ▸ CheckStill ▸ fence ▸ failpoint ▸ Timeout ▸ logs ▸ metrics ▸ wire
//
// [OnExhausted] reports what came of the call, so everything is inside of it. All the
// waiting is in [Limit]; what follows is as fresh as the call. [CheckStill] asks the
// caller, and the fence (pkg/sidecar) the lease, whether the call may still be made; the
// fence is the later one, as nobody may act without a lease. A failpoint (pkg/failpoint)
// ends the process before or after a call that is certain to be made. [Timeout] and the
// metrics measure the driver alone, without the wait.
//
// Nobody outside this package looks at gRPC codes; they switch on [Outcome].
//
// The package may import CSI messages, gRPC, csi-lib-utils, metrics and
// plan/capability.
package csi
