package driver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/go-logr/logr"
	"google.golang.org/grpc"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/backend"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/fault"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/record"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/registration"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/snapshot"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/volume"
)

// A Driver is a running driver.
type Driver struct {
	options      Options
	capabilities capabilities
	backend      backend.Backend
	volumes      *volume.Store
	snapshots    *snapshot.Store
	calls        *record.Recorder
	rules        *fault.Rules
	turns        *turns
	clock        clock.PassiveClock

	grpc       *grpc.Server
	control    *http.Server // nil if there is none
	registered *registration.Server

	// stopping is closed when the driver stops; calls that wait end with it.
	stopping <-chan struct{}
	end      context.CancelFunc

	mu      sync.Mutex // guards stopped, and working against its Wait
	stopped bool
	working sync.WaitGroup // calls, also those whose client has gone
	serving sync.WaitGroup
	failed  chan error
}

// Start runs a driver and returns once it serves. The context gives values
// only: stop the driver with [Driver.Stop].
func Start(ctx context.Context, options Options) (*Driver, error) {
	options, err := options.complete()
	if err != nil {
		return nil, fmt.Errorf("starting the driver: %w", err)
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	d := &Driver{
		options: options,
		rules:   fault.NewRules(),
		turns:   newTurns(options.InFlight == Wait),
		clock:   options.Clock,
		end:     end,
		failed:  make(chan error, 3),

		stopping: life.Done(),
	}
	if err := d.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the driver: %w", err), d.Stop())
	}
	if err := d.serve(logr.NewContext(life, options.Log)); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the driver: %w", err), d.Stop())
	}
	options.Log.Info("Driver serves", "name", options.Name, "node", options.NodeID,
		"endpoint", options.Endpoint, "backend", d.backend.Kind())
	return d, nil
}

// open opens what the driver keeps.
func (d *Driver) open() (err error) {
	if d.capabilities, err = resolve(d.options.Capabilities, d.options.Services); err != nil {
		return err
	}
	if d.volumes, err = volume.Open(filepath.Join(d.options.StateDir, "volumes")); err != nil {
		return err
	}
	if d.snapshots, err = snapshot.Open(filepath.Join(d.options.StateDir, "snapshots")); err != nil {
		return err
	}
	if d.backend, err = backend.New(d.options.Backend, dataDir(d.options.StateDir)); err != nil {
		return err
	}
	// A controller and a node service that run apart have a file each.
	services := strings.Join(slices.Sorted(slices.Values(d.options.Services)), "-")
	d.calls, err = record.Open(filepath.Join(d.options.StateDir, "calls-"+services+".jsonl"))
	return err
}

// serve listens and starts to serve. The context ends with the driver.
func (d *Driver) serve(life context.Context) error {
	listener, err := listen(life, d.options.Endpoint)
	if err != nil {
		return err
	}
	d.grpc = grpc.NewServer(grpc.UnaryInterceptor(d.intercept))
	csi.RegisterIdentityServer(d.grpc, &identityServer{driver: d})
	if slices.Contains(d.options.Services, Controller) {
		csi.RegisterControllerServer(d.grpc, &controllerServer{driver: d})
	}
	if slices.Contains(d.options.Services, Node) {
		csi.RegisterNodeServer(d.grpc, &nodeServer{driver: d})
	}
	d.background("serving CSI", func() error { return d.grpc.Serve(listener) })

	if d.options.ControlSocket != "" {
		listener, err := listen(life, d.options.ControlSocket)
		if err != nil {
			return err
		}
		d.control = &http.Server{
			Handler:           d.controlHandler(),
			ReadHeaderTimeout: time.Minute,
			BaseContext:       func(net.Listener) context.Context { return life },
		}
		d.background("serving the control API", func() error { return d.control.Serve(listener) })
	}
	if d.options.RegistrationDir == "" || !slices.Contains(d.options.Services, Node) {
		return nil
	}
	d.registered, err = registration.Start(life, d.options.RegistrationDir, d.options.Name, d.options.Endpoint)
	return err
}

func (d *Driver) background(doing string, run func() error) {
	d.serving.Go(func() {
		if err := run(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			d.failed <- fmt.Errorf("%s: %w", doing, err)
		}
	})
}

// Failed tells of the end of a service that was not asked to end.
func (d *Driver) Failed() <-chan error { return d.failed }

// Backend is the kind of backend that was chosen.
func (d *Driver) Backend() string { return d.backend.Kind() }

// Stop ends the driver: calls that a rule keeps end without their work, others
// finish it. Volumes, staged and published ones too, stay as they are. Stop may
// be called again.
func (d *Driver) Stop() error {
	d.mu.Lock()
	again := d.stopped
	d.stopped = true
	d.mu.Unlock()
	if again {
		return nil
	}
	var failures []error
	if d.registered != nil {
		failures = append(failures, d.registered.Stop())
	}
	d.end()
	d.working.Wait()
	if d.grpc != nil {
		// Nothing works any more: what is left to wait for are the answers.
		d.grpc.GracefulStop()
	}
	if d.control != nil {
		failures = append(failures, d.control.Close())
	}
	d.serving.Wait()
	if d.calls != nil {
		failures = append(failures, d.calls.Close())
	}
	if d.volumes != nil {
		failures = append(failures, d.volumes.Close())
	}
	return errors.Join(failures...)
}

// Cleanup unmounts and detaches all that is left of the volumes in a state
// directory. Their data stays. No driver may be using the directory.
func Cleanup(stateDir string) error {
	if err := backend.Cleanup(dataDir(stateDir)); err != nil {
		return fmt.Errorf("cleaning up %s: %w", stateDir, err)
	}
	return nil
}

func dataDir(stateDir string) string { return filepath.Join(stateDir, "data") }

// listen makes a unix socket, in the place of one that a killed driver left.
func listen(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("making the directory of the socket: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing the old socket: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", path, err)
	}
	return listener, nil
}
