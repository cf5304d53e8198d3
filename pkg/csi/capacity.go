package csi

import (
	"context"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Capacity tells how much room a driver has (CSI spec, GetCapacity).
type Capacity interface {
	GetCapacity(ctx context.Context, request *csipb.GetCapacityRequest, options ...Option) (*csipb.GetCapacityResponse, error)
}

// NewCapacity returns the port over a connection.
func NewCapacity(conn grpc.ClientConnInterface) Capacity {
	return csipb.NewControllerClient(conn)
}

// Unimplemented tells whether the error says that the driver does not have the
// call.
func Unimplemented(err error) bool { return status.Code(err) == codes.Unimplemented }

// OnExhausted tells of each CreateVolume that has failed for want of resources, after
// the call.
func OnExhausted(tell func(request *csipb.CreateVolumeRequest)) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		err := invoke(ctx, method, request, response, conn, options...)
		if create, ok := request.(*csipb.CreateVolumeRequest); ok && Classify(err) == Exhausted {
			tell(create)
		}
		return err
	}
}
