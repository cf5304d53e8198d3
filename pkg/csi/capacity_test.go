package csi_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

// room implements csi.Capacity as a test says.
type room func(ctx context.Context) (*csipb.GetCapacityResponse, error)

func (r room) GetCapacity(ctx context.Context, _ *csipb.GetCapacityRequest, _ ...csi.Option) (*csipb.GetCapacityResponse, error) {
	return r(ctx)
}

// roomy is a driver that has GetCapacity.
type roomy struct {
	csipb.UnimplementedControllerServer
	asked *csipb.GetCapacityRequest
}

func (r *roomy) GetCapacity(_ context.Context, request *csipb.GetCapacityRequest) (*csipb.GetCapacityResponse, error) {
	r.asked = request
	return &csipb.GetCapacityResponse{AvailableCapacity: 7}, nil
}

func TestGetCapacity(t *testing.T) {
	_, err := csi.NewCapacity(connected(t, &driver{})).GetCapacity(quiet(t), &csipb.GetCapacityRequest{})
	if !csi.Unimplemented(err) || csi.Unimplemented(status.Error(codes.Internal, "x")) || csi.Unimplemented(nil) {
		t.Errorf("a driver without the call: %v", err)
	}

	socket, server, able := newSocket(t), grpc.NewServer(), &roomy{}
	csipb.RegisterControllerServer(server, able)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	response, err := csi.NewCapacity(dial(t, socket, nil)).GetCapacity(quiet(t), &csipb.GetCapacityRequest{Parameters: map[string]string{"tier": "gold"}})
	if err != nil || response.GetAvailableCapacity() != 7 || able.asked.GetParameters()["tier"] != "gold" {
		t.Errorf("the driver was asked with %v, and answers %v, %v", able.asked, response, err)
	}
}

func TestTimeoutCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		slow := room(func(ctx context.Context) (*csipb.GetCapacityResponse, error) {
			<-ctx.Done()
			return nil, status.FromContextError(ctx.Err()).Err()
		})
		_, err := csi.TimeoutCapacity(slow, 3*time.Second).GetCapacity(t.Context(), nil)
		if status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "--timeout") || time.Since(started) != 3*time.Second {
			t.Errorf("after %s: %v", time.Since(started), err)
		}
	})
}

func TestLimitCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop, running, most := make(chan struct{}), 0, 0
		limited := csi.LimitCapacity(room(func(context.Context) (*csipb.GetCapacityResponse, error) {
			running++
			most = max(most, running)
			time.Sleep(time.Second)
			running--
			return &csipb.GetCapacityResponse{AvailableCapacity: 5}, nil
		}), 1, stop)
		results := make(chan error, 3)
		for range 3 {
			go func() {
				response, err := limited.GetCapacity(t.Context(), nil)
				if err == nil && response.GetAvailableCapacity() != 5 {
					err = errors.New("the answer is lost")
				}
				results <- err
			}()
		}
		time.Sleep(1500 * time.Millisecond) // one is done, one runs, one waits
		close(stop)
		var failed []error
		for range 3 {
			if err := <-results; err != nil {
				failed = append(failed, err)
			}
		}
		if most != 1 || len(failed) != 1 || !errors.Is(failed[0], csi.ErrStopping) {
			t.Errorf("%d calls ran at once, failed have %v", most, failed)
		}
	})
}

// refusing is a driver whose CreateVolume fails.
type refusing struct {
	csi.Driver
	err error
}

func (f refusing) CreateVolume(context.Context, *csipb.CreateVolumeRequest, ...csi.Option) (*csipb.CreateVolumeResponse, error) {
	return nil, f.err
}

func TestOnExhausted(t *testing.T) {
	for code, want := range map[codes.Code][]string{
		codes.OK: nil, codes.ResourceExhausted: {"v"}, codes.Internal: nil, codes.DeadlineExceeded: nil, codes.InvalidArgument: nil,
	} {
		var told []string
		d := csi.OnExhausted(refusing{err: status.Error(code, "x")}, func(request *csipb.CreateVolumeRequest) { told = append(told, request.GetName()) })
		_, err := d.CreateVolume(t.Context(), &csipb.CreateVolumeRequest{Name: "v"})
		if status.Code(err) != code || !slices.Equal(told, want) {
			t.Errorf("%s: told was %q, the error is %v", code, told, err)
		}
	}
}
