package csi

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/kubernetes-csi/csi-lib-utils/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
)

const (
	// probeInterval is the pause between two probes of a driver that isn't
	// ready.
	probeInterval = time.Second
	// progressProbes is the number of failed probes between two log entries.
	progressProbes = 10
)

// Info is what a driver says of itself.
type Info struct {
	Name         string
	Version      string
	Capabilities capability.Set
}

// Session is the program's acquaintance with the driver behind a connection. A
// driver that goes away, to be restarted or upgraded, is waited for.
type Session struct {
	conn    *grpc.ClientConn
	timeout time.Duration
	clock   clock.Clock
	info    Info
	ready   atomic.Bool
	// place is that of the driver's node, if it is located.
	place   map[string]string
	located bool
}

// Open waits until the driver is ready, however long that takes, and asks what
// it is and can do; timeout bounds each question. The error is that of the
// context, or a driver's that does not follow the CSI specification.
func Open(ctx context.Context, conn *grpc.ClientConn, timeout time.Duration, c clock.Clock) (*Session, error) {
	s := &Session{conn: conn, timeout: timeout, clock: c}
	info, err := s.meet(ctx)
	if err != nil {
		return nil, err
	}
	s.info = info
	s.ready.Store(true)
	return s, nil
}

// Info returns what the driver said of itself.
func (s *Session) Info() Info { return s.info }

// Ready returns nil, or why the driver can't be used now.
func (s *Session) Ready() error {
	if s.ready.Load() {
		return nil
	}
	return errors.New("the connection to the CSI driver is lost: waiting for the driver to reconnect")
}

// Watch follows the connection until the context ends, and then returns nil. It
// calls returned each time that the driver has reconnected. It returns an error
// when the driver that is there then has another name or other capabilities:
// what the program has set up no longer fits, and it must be started anew.
func (s *Session) Watch(ctx context.Context, returned func()) error {
	logger := klog.FromContext(ctx)
	for s.conn.WaitForStateChange(ctx, connectivity.Ready) {
		s.ready.Store(false)
		logger.Info("Lost the connection to the CSI driver, reconnecting")
		info, err := s.meet(ctx)
		if err != nil {
			return unlessDone(ctx, err)
		}
		if info.Name != s.info.Name || info.Capabilities != s.info.Capabilities {
			return fmt.Errorf("the CSI driver reconnected as another one: it was %+v and is %+v", s.info, info)
		}
		if err := s.checkPlace(ctx); err != nil {
			return unlessDone(ctx, err)
		}
		s.ready.Store(true)
		logger.Info("The CSI driver is back", "driver", info.Name, "version", info.Version)
		returned()
	}
	return nil
}

// unlessDone returns the error, but nil when the context has ended: having been told
// to stop is no failure.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// meet waits for the driver to be ready and asks what it is. A driver that goes
// away meanwhile is waited for again.
func (s *Session) meet(ctx context.Context) (Info, error) {
	for {
		if err := s.probe(ctx); err != nil {
			return Info{}, err
		}
		info, err := s.ask(ctx)
		if _, answered := status.FromError(err); err == nil || !answered || Classify(err) != Pending {
			return info, err
		}
		s.pause(ctx)
	}
}

// pause waits for the time between two tries, or the end of the context.
func (s *Session) pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-s.clock.After(probeInterval):
	}
}

// probe asks the driver whether it is ready until it is. A driver that answers
// with an error may get over it, so that is no reason to give up.
func (s *Session) probe(ctx context.Context) error {
	logger := klog.FromContext(ctx)
	for failures := 0; ; failures++ {
		ready, err := s.probeOnce(ctx)
		if ready {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for the CSI driver: %w", ctx.Err())
		}
		if failures%progressProbes == 0 {
			logger.Info("Waiting for the CSI driver to be ready", "address", s.conn.Target(), "tries", failures+1, "answer", answer(err))
		}
		s.pause(ctx)
	}
}

func answer(err error) string {
	if err == nil {
		return "not ready"
	}
	return Message(err)
}

func (s *Session) probeOnce(ctx context.Context) (ready bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return rpc.Probe(ctx, s.conn)
}

// ask asks the driver for its name and capabilities.
func (s *Session) ask(ctx context.Context) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	identity := csipb.NewIdentityClient(s.conn)
	plugin, err := identity.GetPluginInfo(ctx, &csipb.GetPluginInfoRequest{})
	if err != nil {
		return Info{}, fmt.Errorf("asking the CSI driver for its name (GetPluginInfo): %w", err)
	}
	if plugin.GetName() == "" {
		return Info{}, errors.New("the CSI driver reports an empty name (GetPluginInfo): this is a fault of the driver")
	}
	info := Info{Name: plugin.GetName(), Version: plugin.GetVendorVersion()}

	offers, err := identity.GetPluginCapabilities(ctx, &csipb.GetPluginCapabilitiesRequest{})
	if err != nil {
		return Info{}, fmt.Errorf("asking the CSI driver for its capabilities (GetPluginCapabilities): %w", err)
	}
	info.Capabilities = info.Capabilities.FromPlugin(offers.GetCapabilities())
	if info.Capabilities, err = s.askNode(ctx, info.Capabilities); err != nil || !info.Capabilities.ControllerService {
		return info, err
	}
	controller, err := csipb.NewControllerClient(s.conn).ControllerGetCapabilities(ctx, &csipb.ControllerGetCapabilitiesRequest{})
	if err != nil {
		return Info{}, fmt.Errorf("asking the CSI driver for its capabilities (ControllerGetCapabilities): %w", err)
	}
	info.Capabilities = info.Capabilities.FromController(controller.GetCapabilities())
	return info, nil
}

// askNode asks for the capabilities of the node service, if the driver serves it
// at the same socket: that tells that volumes are expanded on their nodes.
func (s *Session) askNode(ctx context.Context, known capability.Set) (capability.Set, error) {
	node, err := csipb.NewNodeClient(s.conn).NodeGetCapabilities(ctx, &csipb.NodeGetCapabilitiesRequest{})
	switch status.Code(err) {
	case codes.OK:
		return known.FromNode(node.GetCapabilities()), nil
	case codes.Unimplemented:
		return known, nil
	}
	return known, fmt.Errorf("asking the CSI driver for its capabilities (NodeGetCapabilities): %w", err)
}
