package csi_test

import (
	"context"
	"errors"
	"path"
	"sync"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

// busy is a driver that takes a second for each call, and notes them.
type busy struct {
	mu        sync.Mutex
	now, most map[string]int
	begun     []string
	deadline  []time.Duration
}

func newBusy() *busy { return &busy{now: map[string]int{}, most: map[string]int{}} }

const callDuration = time.Second

func (b *busy) call(ctx context.Context, verb, name string) error {
	b.mu.Lock()
	b.begun = append(b.begun, verb+" "+name)
	b.now[verb]++
	b.most[verb] = max(b.most[verb], b.now[verb])
	if deadline, ok := ctx.Deadline(); ok {
		b.deadline = append(b.deadline, time.Until(deadline))
	}
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.now[verb]--
	}()
	select {
	case <-time.After(callDuration):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Invoke implements grpc.ClientConnInterface.
func (b *busy) Invoke(ctx context.Context, method string, request, _ any, _ ...grpc.CallOption) error {
	switch r := request.(type) {
	case interface{ GetVolumeId() string }:
		return b.call(ctx, path.Base(method), r.GetVolumeId())
	case interface{ GetName() string }:
		return b.call(ctx, path.Base(method), r.GetName())
	case *csipb.GetCapacityRequest:
		return b.call(ctx, path.Base(method), r.GetParameters()["name"])
	}
	return errors.New("unknown call")
}

func (*busy) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errors.New("CSI has no streams")
}

// budgets are the same for each method.
func budgets(calls int, timeout time.Duration) csi.Budgets {
	all := csi.Budgets{}
	for verb := range verbs(newBusy()) {
		all["/csi.v1.Controller/"+verb] = csi.Budget{Calls: calls, Timeout: timeout, Flag: "--time-for-" + verb}
	}
	return all
}

// limited lets that many calls of each method through to the driver.
func limited(next grpc.ClientConnInterface, calls int, stop <-chan struct{}) grpc.ClientConnInterface {
	return csi.Chain(next, csi.Limit(budgets(calls, 0), stop), csi.CheckStill)
}

// timed gives each call that time.
func timed(next grpc.ClientConnInterface, timeout time.Duration) grpc.ClientConnInterface {
	return csi.Chain(next, csi.Timeout(budgets(0, timeout)))
}

// verbs are the calls, as functions of the volume's name.
func verbs(conn grpc.ClientConnInterface) map[string]func(ctx context.Context, name string, options ...csi.Option) error {
	driver, capacity := csi.NewDriver(conn), csi.NewCapacity(conn)
	return map[string]func(context.Context, string, ...csi.Option) error{
		"CreateVolume": func(ctx context.Context, name string, options ...csi.Option) error {
			_, err := driver.CreateVolume(ctx, &csipb.CreateVolumeRequest{Name: name}, options...)
			return err
		},
		"DeleteVolume": func(ctx context.Context, name string, options ...csi.Option) error {
			return driver.DeleteVolume(ctx, &csipb.DeleteVolumeRequest{VolumeId: name}, options...)
		},
		"ControllerExpandVolume": func(ctx context.Context, name string, options ...csi.Option) error {
			_, err := driver.ControllerExpandVolume(ctx, &csipb.ControllerExpandVolumeRequest{VolumeId: name}, options...)
			return err
		},
		"ControllerModifyVolume": func(ctx context.Context, name string, options ...csi.Option) error {
			return driver.ControllerModifyVolume(ctx, &csipb.ControllerModifyVolumeRequest{VolumeId: name}, options...)
		},
		"GetCapacity": func(ctx context.Context, name string, options ...csi.Option) error {
			_, err := capacity.GetCapacity(ctx, &csipb.GetCapacityRequest{Parameters: map[string]string{"name": name}}, options...)
			return err
		},
	}
}
