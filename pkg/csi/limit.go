package csi

import (
	"context"
	"errors"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
)

// ErrStopping is returned for calls that are not made because the program is
// about to stop.
var ErrStopping = errors.New("the program is stopping")

// Limit lets that many calls of each kind be under way at once; the others wait
// for their turn. A call that waits when its context ends or stop is closed
// returns an error and has not reached the driver; after stop, none does.
func Limit(next Driver, calls int, stop <-chan struct{}) Driver {
	return limited{
		next:    next,
		creates: newSlots(calls, stop), deletes: newSlots(calls, stop),
		expands: newSlots(calls, stop), modifies: newSlots(calls, stop),
	}
}

type limited struct {
	next                                Driver
	creates, deletes, expands, modifies slots
}

func (l limited) CreateVolume(ctx context.Context, request *csipb.CreateVolumeRequest, options ...Option) (*csipb.CreateVolumeResponse, error) {
	if err := l.creates.take(ctx, options); err != nil {
		return nil, err
	}
	defer l.creates.give()
	return l.next.CreateVolume(ctx, request, options...)
}

func (l limited) DeleteVolume(ctx context.Context, request *csipb.DeleteVolumeRequest, options ...Option) error {
	if err := l.deletes.take(ctx, options); err != nil {
		return err
	}
	defer l.deletes.give()
	return l.next.DeleteVolume(ctx, request, options...)
}

func (l limited) ControllerExpandVolume(ctx context.Context, request *csipb.ControllerExpandVolumeRequest, options ...Option) (*csipb.ControllerExpandVolumeResponse, error) {
	if err := l.expands.take(ctx, options); err != nil {
		return nil, err
	}
	defer l.expands.give()
	return l.next.ControllerExpandVolume(ctx, request, options...)
}

func (l limited) ControllerModifyVolume(ctx context.Context, request *csipb.ControllerModifyVolumeRequest, options ...Option) error {
	if err := l.modifies.take(ctx, options); err != nil {
		return err
	}
	defer l.modifies.give()
	return l.next.ControllerModifyVolume(ctx, request, options...)
}

type slots struct {
	taken chan struct{}
	stop  <-chan struct{}
}

func newSlots(n int, stop <-chan struct{}) slots { return slots{make(chan struct{}, n), stop} }

// take waits for a slot. The options are looked at when there is one, as what a call
// was decided on may have changed during the wait.
func (s slots) take(ctx context.Context, options []Option) error {
	select {
	case <-s.stop:
		return ErrStopping
	default:
	}
	select {
	case s.taken <- struct{}{}:
		if err := Recheck(options); err != nil {
			s.give()
			return err
		}
		return nil
	case <-s.stop:
		return ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slots) give() { <-s.taken }
