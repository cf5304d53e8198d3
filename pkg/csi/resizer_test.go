package csi_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
)

func TestClassifyExpansion(t *testing.T) {
	outcomes := map[codes.Code]csi.Outcome{
		codes.OK: csi.Done,
		// It may still be under way, or pass.
		codes.Canceled:          csi.Pending,
		codes.DeadlineExceeded:  csi.Pending,
		codes.ResourceExhausted: csi.Pending,
		codes.Aborted:           csi.Pending,
		codes.Unavailable:       csi.Pending,
		// The same size will not succeed.
		codes.InvalidArgument: csi.Infeasible,
		codes.NotFound:        csi.Infeasible,
		codes.OutOfRange:      csi.Infeasible,
		// It is over. What the driver has left behind, the next try takes up.
		codes.Unknown:            csi.Final,
		codes.AlreadyExists:      csi.Final,
		codes.PermissionDenied:   csi.Final,
		codes.FailedPrecondition: csi.Final,
		codes.Unimplemented:      csi.Final,
		codes.Internal:           csi.Final,
		codes.DataLoss:           csi.Final,
		codes.Unauthenticated:    csi.Final,
	}
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		want, ok := outcomes[code]
		if !ok {
			t.Errorf("no outcome is expected of %s", code)
		}
		err := status.Error(code, "driver says no")
		if got := csi.ClassifyExpansion(err); got != want {
			t.Errorf("ClassifyExpansion(%s) = %d, want %d", code, got, want)
		}
		if err == nil {
			continue
		}
		if got := csi.ClassifyExpansion(fmt.Errorf("expanding: %w", err)); got != want {
			t.Errorf("ClassifyExpansion(wrapped %s) = %d, want %d", code, got, want)
		}
	}
}

// Errors that aren't the driver's say that the driver was not asked, or that its
// answer is not known.
func TestClassifyExpansionErrorsThatAreNotTheDrivers(t *testing.T) {
	for name, err := range map[string]error{
		"own":      errors.New("something"),
		"stopping": csi.ErrStopping,
		"canceled": fmt.Errorf("expanding: %w", context.Canceled),
	} {
		if got := csi.ClassifyExpansion(err); got != csi.Pending {
			t.Errorf("%s: ClassifyExpansion = %d, want %d", name, got, csi.Pending)
		}
	}
}

func TestInUse(t *testing.T) {
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		if got, want := csi.InUse(status.Error(code, "x")), code == codes.FailedPrecondition; got != want {
			t.Errorf("InUse(%s) = %t", code, got)
		}
	}
	if !csi.InUse(fmt.Errorf("expanding: %w", status.Error(codes.FailedPrecondition, "x"))) {
		t.Error("InUse does not know a wrapped error")
	}
	if csi.InUse(errors.New("FailedPrecondition")) {
		t.Error("InUse takes any error")
	}
}

// resizer is a driver that expands and modifies volumes and, with node, serves the
// node service at the same socket.
type resizer struct {
	*driver
	expand func(context.Context, *csipb.ControllerExpandVolumeRequest) (*csipb.ControllerExpandVolumeResponse, error)
	modify func(context.Context, *csipb.ControllerModifyVolumeRequest) error
	node   *node
}

func (r resizer) ControllerExpandVolume(ctx context.Context, request *csipb.ControllerExpandVolumeRequest) (*csipb.ControllerExpandVolumeResponse, error) {
	return r.expand(ctx, request)
}

func (r resizer) ControllerModifyVolume(ctx context.Context, request *csipb.ControllerModifyVolumeRequest) (*csipb.ControllerModifyVolumeResponse, error) {
	if err := r.modify(ctx, request); err != nil {
		return nil, err
	}
	return &csipb.ControllerModifyVolumeResponse{}, nil
}

// node is a node service that can do something, or fails the first times.
type node struct {
	csipb.UnimplementedNodeServer
	can      []csipb.NodeServiceCapability_RPC_Type
	err      error
	failures atomic.Int32
}

func (n *node) NodeGetCapabilities(context.Context, *csipb.NodeGetCapabilitiesRequest) (*csipb.NodeGetCapabilitiesResponse, error) {
	if n.err != nil && n.failures.Add(-1) >= 0 {
		return nil, n.err
	}
	response := &csipb.NodeGetCapabilitiesResponse{}
	for _, kind := range n.can {
		response.Capabilities = append(response.Capabilities, &csipb.NodeServiceCapability{
			Type: &csipb.NodeServiceCapability_Rpc{Rpc: &csipb.NodeServiceCapability_RPC{Type: kind}},
		})
	}
	return response, nil
}

// reach serves the driver until the test ends, and connects to it.
func (r resizer) reach(t *testing.T) *grpc.ClientConn {
	t.Helper()
	socket := newSocket(t)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	csipb.RegisterIdentityServer(server, r)
	csipb.RegisterControllerServer(server, r)
	if r.node != nil {
		csipb.RegisterNodeServer(server, r.node)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return dial(t, socket, nil)
}

func TestResizerPassesTheRequestOn(t *testing.T) {
	var expanded *csipb.ControllerExpandVolumeRequest
	var modified *csipb.ControllerModifyVolumeRequest
	conn := resizer{
		driver: &driver{},
		expand: func(_ context.Context, request *csipb.ControllerExpandVolumeRequest) (*csipb.ControllerExpandVolumeResponse, error) {
			expanded = request
			return &csipb.ControllerExpandVolumeResponse{CapacityBytes: 7, NodeExpansionRequired: true}, nil
		},
		modify: func(_ context.Context, request *csipb.ControllerModifyVolumeRequest) error {
			modified = request
			return nil
		},
	}.reach(t)
	driver := csi.NewDriver(limited(timed(conn, time.Minute), 1, nil))
	expand := &csipb.ControllerExpandVolumeRequest{
		VolumeId: "handle", CapacityRange: &csipb.CapacityRange{RequiredBytes: 6}, Secrets: map[string]string{"k": "v"},
	}
	response, err := driver.ControllerExpandVolume(t.Context(), expand)
	if err != nil || response.GetCapacityBytes() != 7 || !response.GetNodeExpansionRequired() {
		t.Errorf("ControllerExpandVolume = %v, %v", response, err)
	}
	modify := &csipb.ControllerModifyVolumeRequest{
		VolumeId: "handle", MutableParameters: map[string]string{"iops": "1"}, Secrets: map[string]string{"k": "v"},
	}
	if err := driver.ControllerModifyVolume(t.Context(), modify); err != nil {
		t.Errorf("ControllerModifyVolume: %v", err)
	}
	if diff := cmp.Diff(expand, expanded, protocmp.Transform()) + cmp.Diff(modify, modified, protocmp.Transform()); diff != "" {
		t.Errorf("the requests (-want +got):\n%s", diff)
	}
}

func TestResizerTimeoutExplainsItself(t *testing.T) {
	conn := resizer{
		driver: &driver{},
		expand: func(ctx context.Context, _ *csipb.ControllerExpandVolumeRequest) (*csipb.ControllerExpandVolumeResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		modify: func(ctx context.Context, _ *csipb.ControllerModifyVolumeRequest) error {
			<-ctx.Done()
			return ctx.Err()
		},
	}.reach(t)
	for _, verb := range []string{"ControllerExpandVolume", "ControllerModifyVolume"} {
		err := verbs(timed(conn, 50*time.Millisecond))[verb](t.Context(), "slow")
		if csi.ClassifyExpansion(err) != csi.Pending || !strings.Contains(csi.Message(err), "within 50ms (--time-for-"+verb+")") {
			t.Errorf("%s: the call that takes too long has the error %v", verb, err)
		}
	}
}

// Some drivers repeat the credentials that they were given.
func TestResizerErrorsShowNoSecrets(t *testing.T) {
	const password = "t0p-Secret"
	conn := resizer{
		driver: &driver{},
		expand: func(_ context.Context, request *csipb.ControllerExpandVolumeRequest) (*csipb.ControllerExpandVolumeResponse, error) {
			return nil, status.Error(codes.OutOfRange, "login with "+request.GetSecrets()["password"])
		},
		modify: func(_ context.Context, request *csipb.ControllerModifyVolumeRequest) error {
			return status.Error(codes.InvalidArgument, "login with "+request.GetSecrets()["password"])
		},
	}.reach(t)
	secret := map[string]string{"password": password}
	_, expand := csi.NewDriver(conn).ControllerExpandVolume(t.Context(), &csipb.ControllerExpandVolumeRequest{Secrets: secret})
	modify := csi.NewDriver(conn).ControllerModifyVolume(t.Context(), &csipb.ControllerModifyVolumeRequest{Secrets: secret})
	for verb, err := range map[string]error{"expand": expand, "modify": modify} {
		if err == nil || strings.Contains(err.Error(), password) || !strings.Contains(err.Error(), "login with") {
			t.Errorf("%s: the error is %v", verb, err)
		}
	}
}

func TestOpenAsksTheNodeService(t *testing.T) {
	expand := csipb.NodeServiceCapability_RPC_EXPAND_VOLUME
	stage := csipb.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME
	all := capable()
	all.controller = append(all.controller, csipb.ControllerServiceCapability_RPC_EXPAND_VOLUME, csipb.ControllerServiceCapability_RPC_MODIFY_VOLUME)
	controller := capability.Set{
		ControllerService: true, Topology: true, CreateDelete: true, PublishUnpublish: true,
		SingleNodeMultiWriter: true, ControllerExpand: true, Modify: true, GetCapacity: true,
	}
	both := controller
	both.NodeExpand = true
	cases := map[string]struct {
		driver *driver
		node   *node
		want   capability.Set
	}{
		"it expands volumes":      {all, &node{can: []csipb.NodeServiceCapability_RPC_Type{stage, expand}}, both},
		"it can do other things":  {all, &node{can: []csipb.NodeServiceCapability_RPC_Type{stage}}, controller},
		"there is none":           {all, nil, controller},
		"it does not tell":        {all, &node{err: status.Error(codes.Unimplemented, "what?")}, controller},
		"it is all that there is": {&driver{}, &node{can: []csipb.NodeServiceCapability_RPC_Type{expand}}, capability.Set{NodeExpand: true}},
		"it is away for a while":  {all, &node{err: status.Error(codes.Unavailable, "away"), can: []csipb.NodeServiceCapability_RPC_Type{expand}}, both},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.node != nil {
				c.node.failures.Store(2)
			}
			session, err := csi.Open(quiet(t), resizer{driver: c.driver, node: c.node}.reach(t), callTimeout, &hasty{})
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			if diff := cmp.Diff(c.want, session.Info().Capabilities); diff != "" {
				t.Errorf("the capabilities (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOpenFailsWithTheNodeService(t *testing.T) {
	broken := &node{err: status.Error(codes.Internal, "broken")}
	broken.failures.Store(1)
	_, err := csi.Open(quiet(t), resizer{driver: capable(), node: broken}.reach(t), callTimeout, &hasty{})
	if err == nil || !strings.Contains(err.Error(), "NodeGetCapabilities") || status.Code(err) != codes.Internal {
		t.Errorf("Open: error %v", err)
	}
}
