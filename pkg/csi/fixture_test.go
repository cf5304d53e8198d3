package csi_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

// driver is a CSI driver of which a test says what it answers. What is not said
// is unimplemented, or for Probe and the questions of a session, answered well.
type driver struct {
	csipb.UnimplementedIdentityServer
	csipb.UnimplementedControllerServer

	probe        func(context.Context) (*csipb.ProbeResponse, error)
	info         func() (*csipb.GetPluginInfoResponse, error)
	plugin       []csipb.PluginCapability_Service_Type
	controller   []csipb.ControllerServiceCapability_RPC_Type
	createVolume func(context.Context, *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error)
	deleteVolume func(*csipb.DeleteVolumeRequest) error
}

func (d *driver) Probe(ctx context.Context, _ *csipb.ProbeRequest) (*csipb.ProbeResponse, error) {
	if d.probe == nil {
		return &csipb.ProbeResponse{}, nil
	}
	return d.probe(ctx)
}

func (d *driver) GetPluginInfo(context.Context, *csipb.GetPluginInfoRequest) (*csipb.GetPluginInfoResponse, error) {
	if d.info == nil {
		return &csipb.GetPluginInfoResponse{Name: "driver.example", VendorVersion: "v1"}, nil
	}
	return d.info()
}

func (d *driver) GetPluginCapabilities(context.Context, *csipb.GetPluginCapabilitiesRequest) (*csipb.GetPluginCapabilitiesResponse, error) {
	response := &csipb.GetPluginCapabilitiesResponse{}
	for _, kind := range d.plugin {
		response.Capabilities = append(response.Capabilities, &csipb.PluginCapability{
			Type: &csipb.PluginCapability_Service_{Service: &csipb.PluginCapability_Service{Type: kind}},
		})
	}
	return response, nil
}

func (d *driver) ControllerGetCapabilities(context.Context, *csipb.ControllerGetCapabilitiesRequest) (*csipb.ControllerGetCapabilitiesResponse, error) {
	response := &csipb.ControllerGetCapabilitiesResponse{}
	for _, kind := range d.controller {
		response.Capabilities = append(response.Capabilities, &csipb.ControllerServiceCapability{
			Type: &csipb.ControllerServiceCapability_Rpc{Rpc: &csipb.ControllerServiceCapability_RPC{Type: kind}},
		})
	}
	return response, nil
}

func (d *driver) CreateVolume(ctx context.Context, request *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error) {
	if d.createVolume == nil {
		return d.UnimplementedControllerServer.CreateVolume(ctx, request)
	}
	return d.createVolume(ctx, request)
}

func (d *driver) DeleteVolume(ctx context.Context, request *csipb.DeleteVolumeRequest) (*csipb.DeleteVolumeResponse, error) {
	if d.deleteVolume == nil {
		return d.UnimplementedControllerServer.DeleteVolume(ctx, request)
	}
	if err := d.deleteVolume(request); err != nil {
		return nil, err
	}
	return &csipb.DeleteVolumeResponse{}, nil
}

// newSocket returns the path of a socket that does not exist yet. A test's own
// directory would make it longer than the 107 bytes that a socket may have.
func newSocket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "csi")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "csi.sock")
}

// serve serves the driver, and what else is registered, at a socket until the test
// ends or stop is called.
func serve(t *testing.T, socket string, d *driver, register ...func(*grpc.Server)) (stop func()) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	csipb.RegisterIdentityServer(server, d)
	csipb.RegisterControllerServer(server, d)
	for _, more := range register {
		more(server)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	stop = sync.OnceFunc(func() {
		server.Stop()
		<-done
	})
	t.Cleanup(stop)
	return stop
}

// dial connects to a socket with the connection of the product.
func dial(t *testing.T, socket string, recorder csi.Recorder) *grpc.ClientConn {
	t.Helper()
	if recorder == nil {
		recorder = &calls{}
	}
	conn, err := csi.Dial(socket, recorder)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// connected serves the driver and returns the connection to it.
func connected(t *testing.T, d *driver) *grpc.ClientConn {
	t.Helper()
	socket := newSocket(t)
	serve(t, socket, d)
	return dial(t, socket, nil)
}

// call is what a recorder is told.
type call struct {
	method string
	err    error
	took   time.Duration
	// migrated is what csi.ForMigrated has noted.
	migrated bool
}

// calls implements csi.Recorder.
type calls struct {
	mu  sync.Mutex
	all []call
}

func (c *calls) Record(method string, migrated bool, err error, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, call{method, err, took, migrated})
}

// hasty is a clock whose pauses are short. It notes how long they should be.
type hasty struct {
	clock.RealClock
	mu     sync.Mutex
	pauses []time.Duration
}

func (h *hasty) After(d time.Duration) <-chan time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pauses = append(h.pauses, d)
	return time.After(10 * time.Millisecond)
}

// quiet is the test's context, with a logger that says nothing.
func quiet(t *testing.T) context.Context {
	t.Helper()
	logger := ktesting.NewLogger(ktesting.NopTL{}, ktesting.NewConfig())
	return klog.NewContext(t.Context(), logger)
}
