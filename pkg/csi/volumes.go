package csi

import (
	"context"
	"errors"
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
	CreateVolume(ctx context.Context, request *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error)
	DeleteVolume(ctx context.Context, request *csipb.DeleteVolumeRequest) error
}

// SameRequest tells whether one request repeats the other.
func SameRequest(a, b *csipb.CreateVolumeRequest) bool { return proto.Equal(a, b) }

// NewVolumes returns the port over a connection.
func NewVolumes(conn grpc.ClientConnInterface) Volumes {
	return remote{csipb.NewControllerClient(conn)}
}

type remote struct{ client csipb.ControllerClient }

func (r remote) CreateVolume(ctx context.Context, request *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error) {
	return r.client.CreateVolume(ctx, request)
}

func (r remote) DeleteVolume(ctx context.Context, request *csipb.DeleteVolumeRequest) error {
	_, err := r.client.DeleteVolume(ctx, request)
	return err
}

// Timeout gives each call that much time, beginning when the call does.
func Timeout(next Volumes, timeout time.Duration) Volumes {
	return timed{next, timeout}
}

type timed struct {
	next    Volumes
	timeout time.Duration
}

func (t timed) CreateVolume(ctx context.Context, request *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	response, err := t.next.CreateVolume(ctx, request)
	return response, t.explain(ctx, err)
}

func (t timed) DeleteVolume(ctx context.Context, request *csipb.DeleteVolumeRequest) error {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	return t.explain(ctx, t.next.DeleteVolume(ctx, request))
}

// explain says why a call has ended that took too long: gRPC's own words for it
// may be "stream terminated by RST_STREAM with error code: CANCEL".
func (t timed) explain(ctx context.Context, err error) error {
	if status.Code(err) != codes.DeadlineExceeded || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	return status.Errorf(codes.DeadlineExceeded, "the driver has not answered within %s (--timeout): the call is repeated, the driver's log may tell what takes so long", t.timeout)
}

// ErrStopping is returned for calls that are not made because the program is
// about to stop.
var ErrStopping = errors.New("the program is stopping")

// Limit lets that many creations, and apart from them that many deletions, be
// under way at once; the others wait for their turn. A call that waits when its
// context ends or stop is closed returns an error and has not reached the
// driver; after stop, none does.
func Limit(next Volumes, calls int, stop <-chan struct{}) Volumes {
	return limited{next, newSlots(calls, stop), newSlots(calls, stop)}
}

type limited struct {
	next             Volumes
	creates, deletes slots
}

func (l limited) CreateVolume(ctx context.Context, request *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error) {
	if err := l.creates.take(ctx); err != nil {
		return nil, err
	}
	defer l.creates.give()
	return l.next.CreateVolume(ctx, request)
}

func (l limited) DeleteVolume(ctx context.Context, request *csipb.DeleteVolumeRequest) error {
	if err := l.deletes.take(ctx); err != nil {
		return err
	}
	defer l.deletes.give()
	return l.next.DeleteVolume(ctx, request)
}

type slots struct {
	taken chan struct{}
	stop  <-chan struct{}
}

func newSlots(n int, stop <-chan struct{}) slots { return slots{make(chan struct{}, n), stop} }

func (s slots) take(ctx context.Context) error {
	select {
	case <-s.stop:
		return ErrStopping
	default:
	}
	select {
	case s.taken <- struct{}{}:
		return nil
	case <-s.stop:
		return ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slots) give() { <-s.taken }
