package csi_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

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

// refusing is a driver whose calls fail.
type refusing struct {
	grpc.ClientConnInterface
	err error
}

func (f refusing) Invoke(context.Context, string, any, any, ...grpc.CallOption) error { return f.err }

func TestOnExhausted(t *testing.T) {
	for code, want := range map[codes.Code][]string{
		codes.OK: nil, codes.ResourceExhausted: {"v"}, codes.Internal: nil, codes.DeadlineExceeded: nil, codes.InvalidArgument: nil,
	} {
		var told []string
		conn := csi.Chain(refusing{err: status.Error(code, "x")}, csi.OnExhausted(func(request *csipb.CreateVolumeRequest) { told = append(told, request.GetName()) }))
		for verb, call := range verbs(conn) {
			if err := call(t.Context(), "v"); status.Code(err) != code {
				t.Errorf("%s, %s: the error is %v", verb, code, err)
			}
		}
		if !slices.Equal(told, want) {
			t.Errorf("%s: told was %q, want %q", code, told, want)
		}
	}
}
