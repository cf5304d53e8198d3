package driver_test

import (
	"bytes"
	"path/filepath"
	"sync"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/go-logr/logr/funcr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/backend"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

const gib = int64(1) << 30

// running is a driver in this process and its clients.
type running struct {
	csi.ControllerClient
	csi.NodeClient
	control    *control.Client
	driver     *driver.Driver
	connection *grpc.ClientConn
	options    driver.Options
	log        *log
}

// log keeps what the driver says.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) write(prefix, args string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(prefix + " " + args + "\n")
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start runs a driver with the directory backend, unless the options want
// another. It leaves neither mounts nor loop devices behind.
func start(t *testing.T, options driver.Options) *running {
	t.Helper()
	dir := t.TempDir()
	options.Endpoint = filepath.Join(dir, "csi.sock")
	options.ControlSocket = filepath.Join(dir, "control.sock")
	if options.StateDir == "" {
		options.StateDir = filepath.Join(dir, "state")
	}
	if options.Backend == "" {
		options.Backend = backend.Directory
	}
	r := &running{options: options, log: &log{}}
	r.options.Log = funcr.New(r.log.write, funcr.Options{Verbosity: 10})
	r.control = control.New(options.ControlSocket)
	r.start(t)
	t.Cleanup(func() {
		r.stop(t)
		if err := driver.Cleanup(options.StateDir); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *running) start(t *testing.T) {
	t.Helper()
	var err error
	if r.driver, err = driver.Start(t.Context(), r.options); err != nil {
		t.Fatal(err)
	}
	// A connection to a driver before this one may not know yet that it is
	// broken: each driver has its own.
	credentials := grpc.WithTransportCredentials(insecure.NewCredentials())
	if r.connection, err = grpc.NewClient("unix://"+r.options.Endpoint, credentials); err != nil {
		t.Fatal(err)
	}
	r.ControllerClient = csi.NewControllerClient(r.connection)
	r.NodeClient = csi.NewNodeClient(r.connection)
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	if err := r.driver.Stop(); err != nil {
		t.Error(err)
	}
	_ = r.connection.Close()
}

func (r *running) restart(t *testing.T) {
	t.Helper()
	r.stop(t)
	r.start(t)
}

// rule adds a rule.
func (r *running) rule(t *testing.T, rule control.Rule) string {
	t.Helper()
	id, err := r.control.AddRule(t.Context(), rule)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// waitFor waits for calls.
func (r *running) waitFor(t *testing.T, filter control.Filter, atLeast int) []control.Call {
	t.Helper()
	calls, err := r.control.WaitForCalls(t.Context(), filter, atLeast)
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

func mountCapability() *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER},
	}
}

func blockCapability() *csi.VolumeCapability {
	capability := mountCapability()
	capability.AccessType = &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}}
	return capability
}

func createRequest(name string) *csi.CreateVolumeRequest {
	return &csi.CreateVolumeRequest{
		Name:               name,
		CapacityRange:      &csi.CapacityRange{RequiredBytes: gib},
		VolumeCapabilities: []*csi.VolumeCapability{mountCapability()},
	}
}

// create makes a volume and returns its ID.
func (r *running) create(t *testing.T, request *csi.CreateVolumeRequest) string {
	t.Helper()
	response, err := r.CreateVolume(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return response.GetVolume().GetVolumeId()
}

// publish stages and publishes a volume as a kubelet does, and returns where.
func (r *running) publish(t *testing.T, id string, capability *csi.VolumeCapability) (staged, target string) {
	t.Helper()
	dir := t.TempDir()
	staged, target = filepath.Join(dir, "staging"), filepath.Join(dir, "pod", "mount")
	_, err := r.NodeStageVolume(t.Context(), &csi.NodeStageVolumeRequest{
		VolumeId: id, StagingTargetPath: staged, VolumeCapability: capability,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.NodePublishVolume(t.Context(), &csi.NodePublishVolumeRequest{
		VolumeId: id, StagingTargetPath: staged, TargetPath: target, VolumeCapability: capability,
	})
	if err != nil {
		t.Fatal(err)
	}
	// The driver's clean-up comes too late: the directory goes before.
	t.Cleanup(func() {
		if err := driver.Cleanup(r.options.StateDir); err != nil {
			t.Error(err)
		}
	})
	return staged, target
}

func wantCode(t *testing.T, doing string, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("%s: %v (%v), want %v", doing, got, err, want)
	}
}
