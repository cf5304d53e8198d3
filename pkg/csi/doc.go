// Package csi is the way to the CSI driver: the connection, what the driver is
// and can do, the calls that change volumes, and what their errors mean.
//
// What all calls have in common is done by decorators around the [Volumes]
// port: [Limit] bounds the calls at one time, [Timeout] the time of each. Nobody
// outside this package looks at gRPC codes; they switch on [Outcome].
//
// The package may import CSI messages, gRPC, csi-lib-utils, metrics and
// plan/capability.
package csi
