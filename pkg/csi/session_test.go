package csi_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
)

const callTimeout = 5 * time.Second

// capable is a driver with all capabilities that count, and one that doesn't.
func capable() *driver {
	return &driver{
		plugin: []csipb.PluginCapability_Service_Type{
			csipb.PluginCapability_Service_CONTROLLER_SERVICE,
			csipb.PluginCapability_Service_VOLUME_ACCESSIBILITY_CONSTRAINTS,
		},
		controller: []csipb.ControllerServiceCapability_RPC_Type{
			csipb.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
			csipb.ControllerServiceCapability_RPC_PUBLISH_UNPUBLISH_VOLUME,
			csipb.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
			csipb.ControllerServiceCapability_RPC_GET_CAPACITY,
		},
	}
}

func ready(is bool) *csipb.ProbeResponse {
	return &csipb.ProbeResponse{Ready: wrapperspb.Bool(is)}
}

func TestOpenAsksWhatTheDriverCanDo(t *testing.T) {
	cases := map[string]struct {
		driver *driver
		want   csi.Info
	}{
		"all": {capable(), csi.Info{Name: "driver.example", Version: "v1", Capabilities: capability.Set{
			ControllerService: true, Topology: true, CreateDelete: true, PublishUnpublish: true, SingleNodeMultiWriter: true, GetCapacity: true,
		}}},
		// It is not asked what a service can do that it doesn't have.
		"no controller service": {
			&driver{controller: capable().controller},
			csi.Info{Name: "driver.example", Version: "v1"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			session, err := csi.Open(quiet(t), connected(t, c.driver), callTimeout, &hasty{})
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			if diff := cmp.Diff(c.want, session.Info()); diff != "" {
				t.Errorf("Info (-want +got):\n%s", diff)
			}
			if err := session.Ready(); err != nil {
				t.Errorf("Ready: %v", err)
			}
		})
	}
}

func TestOpenWaits(t *testing.T) {
	unavailable := status.Error(codes.Unavailable, "the storage is away")
	cases := map[string]func(d *driver, tries func() int){
		"until the driver is ready": func(d *driver, tries func() int) {
			d.probe = func(context.Context) (*csipb.ProbeResponse, error) { return ready(tries() > 3), nil }
		},
		"while the probe fails": func(d *driver, tries func() int) {
			d.probe = func(context.Context) (*csipb.ProbeResponse, error) {
				if tries() <= 3 {
					return nil, status.Error(codes.FailedPrecondition, "no licence yet")
				}
				return ready(true), nil
			}
		},
		"while the answers are late": func(d *driver, tries func() int) {
			d.probe = func(context.Context) (*csipb.ProbeResponse, error) {
				if tries() <= 3 {
					<-t.Context().Done()
				}
				return ready(true), nil
			}
		},
		// Once more, but not without a pause.
		"while it can't say what it is": func(d *driver, tries func() int) {
			d.info = func() (*csipb.GetPluginInfoResponse, error) {
				if tries() <= 3 {
					return nil, unavailable
				}
				return &csipb.GetPluginInfoResponse{Name: "driver.example", VendorVersion: "v1"}, nil
			}
		},
	}
	for name, prepare := range cases {
		t.Run(name, func(t *testing.T) {
			var tries atomic.Int32
			d, clock := capable(), &hasty{}
			prepare(d, func() int { return int(tries.Add(1)) })
			conn := connected(t, d)
			// The time to connect is not to count.
			if err := csi.NewDriver(conn).DeleteVolume(t.Context(), &csipb.DeleteVolumeRequest{}); status.Code(err) != codes.Unimplemented {
				t.Fatalf("connecting: %v", err)
			}
			session, err := csi.Open(quiet(t), conn, 300*time.Millisecond, clock)
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			if session.Info().Name != "driver.example" || session.Ready() != nil {
				t.Errorf("Info %+v, Ready %v", session.Info(), session.Ready())
			}
			if got := tries.Load(); got != 4 {
				t.Errorf("the driver was asked %d times, want 4", got)
			}
			want := []time.Duration{time.Second, time.Second, time.Second}
			if diff := cmp.Diff(want, clock.pauses); diff != "" {
				t.Errorf("pauses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOpenWaitsForTheSocket(t *testing.T) {
	socket := newSocket(t)
	conn := dial(t, socket, nil)
	opened := make(chan error, 1)
	asked := make(chan struct{}, 1)
	go func() {
		_, err := csi.Open(quiet(t), conn, callTimeout, signalling{&hasty{}, asked})
		opened <- err
	}()
	<-asked // The first try has failed.
	serve(t, socket, capable())
	if err := <-opened; err != nil {
		t.Errorf("Open: %v", err)
	}
}

// signalling tells of pauses.
type signalling struct {
	*hasty
	paused chan<- struct{}
}

func (s signalling) After(d time.Duration) <-chan time.Time {
	select {
	case s.paused <- struct{}{}:
	default:
	}
	return s.hasty.After(d)
}

func TestOpenFails(t *testing.T) {
	cases := map[string]struct {
		driver *driver
		want   string
	}{
		"no name": {&driver{info: func() (*csipb.GetPluginInfoResponse, error) {
			return &csipb.GetPluginInfoResponse{}, nil
		}}, "empty name"},
		"no answer": {&driver{info: func() (*csipb.GetPluginInfoResponse, error) {
			return nil, status.Error(codes.Unimplemented, "what?")
		}}, "GetPluginInfo"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := csi.Open(quiet(t), connected(t, c.driver), callTimeout, &hasty{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Open: error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestOpenHeedsTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(quiet(t))
	d := capable()
	d.probe = func(context.Context) (*csipb.ProbeResponse, error) {
		cancel()
		return ready(false), nil
	}
	if _, err := csi.Open(ctx, connected(t, d), callTimeout, &hasty{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open: error %v, want %v", err, context.Canceled)
	}
}

// watched is a session that is watched.
type watched struct {
	*csi.Session
	socket   string
	stop     func()
	cancel   context.CancelFunc
	returned chan struct{}
	ended    chan error
}

func watch(t *testing.T) *watched {
	t.Helper()
	w := &watched{socket: newSocket(t), returned: make(chan struct{}, 10), ended: make(chan error, 1)}
	w.stop = serve(t, w.socket, capable())
	var err error
	if w.Session, err = csi.Open(quiet(t), dial(t, w.socket, nil), callTimeout, &hasty{}); err != nil {
		t.Fatalf("Open: %v", err)
	}
	ctx, cancel := context.WithCancel(quiet(t))
	w.cancel = cancel
	t.Cleanup(cancel)
	go func() { w.ended <- w.Watch(ctx, func() { w.returned <- struct{}{} }) }()
	return w
}

func TestWatchWaitsForADriverThatRestarts(t *testing.T) {
	w := watch(t)
	for range 2 {
		w.stop()
		asked, answer := make(chan struct{}), make(chan struct{})
		next := capable()
		probes := 0
		next.probe = func(context.Context) (*csipb.ProbeResponse, error) {
			if probes++; probes == 1 {
				close(asked)
				<-answer
			}
			return ready(true), nil
		}
		w.stop = serve(t, w.socket, next)
		<-asked
		if err := w.Ready(); err == nil || !strings.Contains(err.Error(), "connection to the CSI driver is lost") {
			t.Errorf("Ready while the driver is away: %v", err)
		}
		close(answer)
		<-w.returned
		if err := w.Ready(); err != nil {
			t.Errorf("Ready after the driver has reconnected: %v", err)
		}
	}
	w.cancel()
	if err := <-w.ended; err != nil {
		t.Errorf("Watch: %v", err)
	}
	if again := len(w.returned); again > 0 {
		t.Errorf("returned was called %d times more than the driver has reconnected", again)
	}
}

func TestWatchEndsWhenAnotherDriverComesBack(t *testing.T) {
	cases := map[string]struct {
		change func(*driver)
		want   string
	}{
		"another name": {func(d *driver) {
			d.info = func() (*csipb.GetPluginInfoResponse, error) {
				return &csipb.GetPluginInfoResponse{Name: "other.example"}, nil
			}
		}, "other.example"},
		"other capabilities": {func(d *driver) { d.plugin = d.plugin[:1] }, "Topology:false"},
		"no name": {func(d *driver) {
			d.info = func() (*csipb.GetPluginInfoResponse, error) { return &csipb.GetPluginInfoResponse{}, nil }
		}, "empty name"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := watch(t)
			w.stop()
			next := capable()
			c.change(next)
			serve(t, w.socket, next)
			if err := <-w.ended; err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Watch: error %v, want one with %q", err, c.want)
			}
			if len(w.returned) > 0 {
				t.Error("returned was called")
			}
			if w.Ready() == nil {
				t.Error("the session is ready")
			}
		})
	}
}

func TestWatchTakesAnotherVersion(t *testing.T) {
	w := watch(t)
	w.stop()
	next := capable()
	next.info = func() (*csipb.GetPluginInfoResponse, error) {
		return &csipb.GetPluginInfoResponse{Name: "driver.example", VendorVersion: "v2"}, nil
	}
	serve(t, w.socket, next)
	select {
	case <-w.returned:
	case err := <-w.ended:
		t.Errorf("Watch: %v", err)
	}
}

func TestWatchEndsWithTheContext(t *testing.T) {
	t.Run("while the driver is there", func(t *testing.T) {
		w := watch(t)
		w.cancel()
		if err := <-w.ended; err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	t.Run("while it is away", func(t *testing.T) {
		w := watch(t)
		w.stop()
		next := capable()
		asked := make(chan struct{})
		next.probe = func(ctx context.Context) (*csipb.ProbeResponse, error) {
			close(asked)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		serve(t, w.socket, next)
		<-asked
		w.cancel()
		if err := <-w.ended; err != nil {
			t.Errorf("Watch: %v", err)
		}
		if len(w.returned) > 0 {
			t.Error("returned was called")
		}
	})
}
