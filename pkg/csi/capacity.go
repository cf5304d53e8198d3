package csi

import (
	"context"
	"time"

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
	return remoteCapacity{csipb.NewControllerClient(conn)}
}

type remoteCapacity struct{ client csipb.ControllerClient }

func (r remoteCapacity) GetCapacity(ctx context.Context, request *csipb.GetCapacityRequest, options ...Option) (*csipb.GetCapacityResponse, error) {
	return r.client.GetCapacity(ctx, request, options...)
}

// TimeoutCapacity gives each call that much time, as [Timeout] does.
func TimeoutCapacity(next Capacity, timeout time.Duration) Capacity {
	return timedCapacity{next, timed{timeout: timeout}}
}

type timedCapacity struct {
	next Capacity
	timed
}

func (t timedCapacity) GetCapacity(ctx context.Context, request *csipb.GetCapacityRequest, options ...Option) (*csipb.GetCapacityResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	response, err := t.next.GetCapacity(ctx, request, options...)
	return response, t.explain(ctx, err, "--timeout")
}

// LimitCapacity lets that many calls be under way at once, as [Limit] does.
func LimitCapacity(next Capacity, calls int, stop <-chan struct{}) Capacity {
	return limitedCapacity{next, newSlots(calls, stop)}
}

type limitedCapacity struct {
	next  Capacity
	slots slots
}

func (l limitedCapacity) GetCapacity(ctx context.Context, request *csipb.GetCapacityRequest, options ...Option) (*csipb.GetCapacityResponse, error) {
	if err := l.slots.take(ctx, options); err != nil {
		return nil, err
	}
	defer l.slots.give()
	return l.next.GetCapacity(ctx, request, options...)
}

// Unimplemented tells whether the error says that the driver does not have the
// call.
func Unimplemented(err error) bool { return status.Code(err) == codes.Unimplemented }

// OnExhausted returns a driver that tells of each CreateVolume that has failed
// for want of resources, after the call.
func OnExhausted(next Driver, tell func(request *csipb.CreateVolumeRequest)) Driver {
	return watched{next, tell}
}

type watched struct {
	Driver
	tell func(request *csipb.CreateVolumeRequest)
}

func (w watched) CreateVolume(ctx context.Context, request *csipb.CreateVolumeRequest, options ...Option) (*csipb.CreateVolumeResponse, error) {
	response, err := w.Driver.CreateVolume(ctx, request, options...)
	if Classify(err) == Exhausted {
		w.tell(request)
	}
	return response, err
}
