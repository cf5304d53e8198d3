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

// Driver puts the failpoint around the calls to the driver.
func (t *Trigger) Driver(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	point := path.Base(method)
	t.pass(before, point)
	err := invoke(ctx, method, request, response, conn, options...)
	t.pass(after, point)
	return err
}
