package failpoint

import (
	"context"
	"path"

	"google.golang.org/grpc"
)

// driverPoints are the calls to the driver, by the methods' names in CSI.
func driverPoints() []string {
	return []string{"CreateVolume", "DeleteVolume", "ControllerExpandVolume", "ControllerModifyVolume"}
}

// Conn puts the failpoint around the calls of a connection to the driver.
func (t *Trigger) Conn(next grpc.ClientConnInterface) grpc.ClientConnInterface {
	return conn{ClientConnInterface: next, trigger: t}
}

type conn struct {
	grpc.ClientConnInterface
	trigger *Trigger
}

// Invoke implements grpc.ClientConnInterface.
func (c conn) Invoke(ctx context.Context, method string, request, response any, options ...grpc.CallOption) error {
	point := path.Base(method)
	c.trigger.pass(before, point)
	err := c.ClientConnInterface.Invoke(ctx, method, request, response, options...)
	c.trigger.pass(after, point)
	return err
}
