package csi

import (
	"context"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Volumes makes and deletes volumes at a driver. Both calls are idempotent (CSI
// spec, CreateVolume and DeleteVolume); see [Classify] for their errors.
type Volumes interface {
	CreateVolume(ctx context.Context, request *csipb.CreateVolumeRequest, options ...Option) (*csipb.CreateVolumeResponse, error)
	DeleteVolume(ctx context.Context, request *csipb.DeleteVolumeRequest, options ...Option) error
}

// Growth changes volumes that exist. Both calls are idempotent (CSI spec,
// ControllerExpandVolume and ControllerModifyVolume).
type Growth interface {
	ControllerExpandVolume(ctx context.Context, request *csipb.ControllerExpandVolumeRequest, options ...Option) (*csipb.ControllerExpandVolumeResponse, error)
	ControllerModifyVolume(ctx context.Context, request *csipb.ControllerModifyVolumeRequest, options ...Option) error
}

// Driver is all that is asked of a driver.
type Driver interface {
	Volumes
	Growth
}

// SameRequest tells whether one request repeats the other.
func SameRequest(a, b *csipb.CreateVolumeRequest) bool { return proto.Equal(a, b) }

// NewDriver returns the port over a connection.
func NewDriver(conn grpc.ClientConnInterface) Driver {
	return remote{csipb.NewControllerClient(conn)}
}

type remote struct{ client csipb.ControllerClient }

func (r remote) CreateVolume(ctx context.Context, request *csipb.CreateVolumeRequest, options ...Option) (*csipb.CreateVolumeResponse, error) {
	return r.client.CreateVolume(ctx, request, options...)
}

func (r remote) DeleteVolume(ctx context.Context, request *csipb.DeleteVolumeRequest, options ...Option) error {
	_, err := r.client.DeleteVolume(ctx, request, options...)
	return err
}

func (r remote) ControllerExpandVolume(ctx context.Context, request *csipb.ControllerExpandVolumeRequest, options ...Option) (*csipb.ControllerExpandVolumeResponse, error) {
	return r.client.ControllerExpandVolume(ctx, request, options...)
}

func (r remote) ControllerModifyVolume(ctx context.Context, request *csipb.ControllerModifyVolumeRequest, options ...Option) error {
	_, err := r.client.ControllerModifyVolume(ctx, request, options...)
	return err
}

// Timeout gives each call that much time, beginning when the call does.
func Timeout(next Driver, timeout time.Duration) Driver {
	return timed{next, timeout}
}

type timed struct {
	next    Driver
	timeout time.Duration
}

func (t timed) CreateVolume(ctx context.Context, request *csipb.CreateVolumeRequest, options ...Option) (*csipb.CreateVolumeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	response, err := t.next.CreateVolume(ctx, request, options...)
	return response, t.explain(ctx, err, "--timeout")
}

func (t timed) DeleteVolume(ctx context.Context, request *csipb.DeleteVolumeRequest, options ...Option) error {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	return t.explain(ctx, t.next.DeleteVolume(ctx, request, options...), "--timeout")
}

func (t timed) ControllerExpandVolume(ctx context.Context, request *csipb.ControllerExpandVolumeRequest, options ...Option) (*csipb.ControllerExpandVolumeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	response, err := t.next.ControllerExpandVolume(ctx, request, options...)
	return response, t.explain(ctx, err, "--resize-timeout")
}

func (t timed) ControllerModifyVolume(ctx context.Context, request *csipb.ControllerModifyVolumeRequest, options ...Option) error {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	return t.explain(ctx, t.next.ControllerModifyVolume(ctx, request, options...), "--modify-timeout")
}

// deadlineSlack is how much earlier than this side's the driver's clock may ring:
// it is told how long a call may take, and ends the call by itself.
const deadlineSlack = 100 * time.Millisecond

// explain says why a call has ended that took too long, and which flag gives it more
// time: gRPC's own words for it may be "stream terminated by RST_STREAM with error
// code: CANCEL".
func (t timed) explain(ctx context.Context, err error, flag string) error {
	deadline, _ := ctx.Deadline()
	if status.Code(err) != codes.DeadlineExceeded || time.Until(deadline) > deadlineSlack {
		return err
	}
	return status.Errorf(codes.DeadlineExceeded, "the driver has not answered within %s (%s): the call is repeated, the driver's log may tell what takes so long", t.timeout, flag)
}
