package sidecar

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/options"
)

// silent is a driver that never answers.
type silent struct {
	passing
	deadlines []time.Duration
}

func (s *silent) Invoke(ctx context.Context, method string, request, response any, options ...grpc.CallOption) error {
	_ = s.passing.Invoke(ctx, method, request, response, options...)
	deadline, _ := ctx.Deadline()
	s.deadlines = append(s.deadlines, time.Until(deadline))
	<-ctx.Done()
	return status.FromContextError(ctx.Err()).Err()
}

// caller is a process as far as calling a driver needs it.
func caller(conn grpc.ClientConnInterface) *process {
	return &process{
		fence: newFence(clock.RealClock{}),
		conn:  conn,
		config: options.Config{
			CSI:     options.CSI{Timeout: 10 * time.Second},
			Work:    options.Work{Threads: 1},
			Resizer: options.Resizer{Threads: 1, ExpandTimeout: 20 * time.Second, ModifyTimeout: 30 * time.Second},
		},
	}
}

// callsOfControllers are the calls that controllers make.
func (p *process) callsOfControllers(stop <-chan struct{}) map[string]func(context.Context, ...csi.Option) error {
	driver, room := csi.NewDriver(p.calls(p.budgets(), stop)), p.room(1, stop)
	return map[string]func(context.Context, ...csi.Option) error{
		"CreateVolume": func(ctx context.Context, options ...csi.Option) error {
			_, err := driver.CreateVolume(ctx, &csipb.CreateVolumeRequest{}, options...)
			return err
		},
		"DeleteVolume": func(ctx context.Context, options ...csi.Option) error {
			return driver.DeleteVolume(ctx, &csipb.DeleteVolumeRequest{}, options...)
		},
		"ControllerExpandVolume": func(ctx context.Context, options ...csi.Option) error {
			_, err := driver.ControllerExpandVolume(ctx, &csipb.ControllerExpandVolumeRequest{}, options...)
			return err
		},
		"ControllerModifyVolume": func(ctx context.Context, options ...csi.Option) error {
			return driver.ControllerModifyVolume(ctx, &csipb.ControllerModifyVolumeRequest{}, options...)
		},
		"GetCapacity": func(ctx context.Context, options ...csi.Option) error {
			_, err := room.GetCapacity(ctx, &csipb.GetCapacityRequest{}, options...)
			return err
		},
	}
}

func TestCallsHaveTheTimeThatFlagsSay(t *testing.T) {
	for method, want := range map[string]string{
		"CreateVolume": "within 10s (--timeout)", "DeleteVolume": "within 10s (--timeout)", "GetCapacity": "within 10s (--timeout)",
		"ControllerExpandVolume": "within 20s (--resize-timeout)", "ControllerModifyVolume": "within 30s (--modify-timeout)",
	} {
		synctest.Test(t, func(t *testing.T) {
			err := caller(&silent{}).callsOfControllers(nil)[method](t.Context())
			if status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error is %v, want %q", method, err, want)
			}
		})
	}
}

// A call has its whole time when its turn has come, and is not made when there is a
// reason against it by then.
func TestCallsAreCheckedAfterTheWait(t *testing.T) {
	cancelled := errors.New("nobody wants it")
	for name, c := range map[string]struct {
		meanwhile func(p *process, withdrawn *atomic.Bool)
		want      error
	}{
		"all is as it was":   {func(*process, *atomic.Bool) {}, nil},
		"it is withdrawn":    {func(_ *process, withdrawn *atomic.Bool) { withdrawn.Store(true) }, csi.ErrWithdrawn},
		"the lease runs out": {func(p *process, _ *atomic.Bool) { p.fence.extend("lease", time.Now()) }, csi.ErrStopping},
	} {
		t.Run(name, func(t *testing.T) {
			for method := range caller(&silent{}).callsOfControllers(nil) {
				synctest.Test(t, func(t *testing.T) {
					driver := &silent{}
					p := caller(driver)
					call := p.callsOfControllers(nil)[method]
					go func() { _ = call(t.Context()) }()
					synctest.Wait() // the slot is taken
					var withdrawn atomic.Bool
					time.AfterFunc(time.Second, func() { c.meanwhile(p, &withdrawn) })
					err := call(t.Context(), csi.IfStill(func() error {
						if withdrawn.Load() {
							return cancelled
						}
						return nil
					}))
					made := len(driver.deadlines) == 2
					if made != (c.want == nil) || c.want != nil && !errors.Is(err, c.want) {
						t.Errorf("%s: the error is %v, and the driver got %q", method, err, driver.names)
					}
					if made && driver.deadlines[0] != driver.deadlines[1] {
						t.Errorf("%s: the calls had %v", method, driver.deadlines)
					}
				})
			}
		})
	}
}
