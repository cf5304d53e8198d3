package sidecar

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/options"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// process is what the parts of one run share.
type process struct {
	config  options.Config
	clock   clock.WithTicker
	metrics *metrics.Set
	health  *health
	fence   *fence

	clients *kube.Clients
	// conn is the connection to the driver, without what p.calls puts before it.
	conn      grpc.ClientConnInterface
	session   *csi.Session
	informers *kube.Informers
	// follow starts the informers, once.
	follow func()
	places *topology.Index
	events *kube.Events
	inTree *kube.InTree
	// cluster is the UID of namespace kube-system; empty where it may not be read.
	cluster string
	// attributes tells whether VolumeAttributesClasses count.
	attributes bool
	// capacity is nil where capacities are not published.
	capacity *capacitySource
	// node is nil where this process works for all nodes.
	node *nodeDeployment
}

// Run works until the context ends, then finishes what is under way, gives the
// lease back and returns nil. The error says why it can't go on.
func Run(ctx context.Context, config options.Config, version string) error {
	logger := klog.FromContext(ctx)
	logger.Info("Starting", "version", version)
	p := &process{
		config:  config,
		clock:   clock.RealClock{},
		metrics: metrics.New(),
		health:  newHealth(),
		fence:   newFence(clock.RealClock{}),
		places:  topology.NewIndex(),
	}
	// Whatever ends the run ends everything that was started for it.
	background, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)

	server, err := p.serve(background)
	if err != nil {
		return err
	}
	defer server.shutdown(background)
	if err := p.connect(ctx, background, version); err != nil {
		return unlessStopped(ctx, err)
	}
	defer p.events.Shutdown()
	if err := p.openJournal(ctx); err != nil {
		return unlessStopped(ctx, err)
	}
	if err := p.watch(ctx, background); err != nil {
		return unlessStopped(ctx, err)
	}
	if err := p.lead(ctx, background); err != nil {
		return err
	}
	logger.Info("Stopped")
	return nil
}

// unlessStopped returns the error, but nil after having been told to stop: that
// is where the error comes from then.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// connect finds the API server and the driver. The driver is waited for until
// ctx ends; its connection lasts as long as the background.
func (p *process) connect(ctx, background context.Context, version string) error {
	restConfig, err := kube.RESTConfig(p.config.Kube.Master, p.config.Kube.Kubeconfig, "csi-provisioner/"+version)
	if err != nil {
		return err
	}
	restConfig.Wrap(p.metrics.Requests.Measure(p.clock.Now))
	if err := failpointsAtAPI(restConfig); err != nil {
		return err
	}
	restConfig.Wrap(p.fence.api)
	limits := kube.Limits{QPS: p.config.Kube.QPS, Burst: p.config.Kube.Burst}
	if p.clients, err = kube.NewClients(restConfig, limits, p.config.LeaderElection.RenewDeadline); err != nil {
		return err
	}
	conn, err := csi.Dial(p.config.CSI.Address, p.metrics.Calls)
	if err != nil {
		return err
	}
	p.conn = conn
	context.AfterFunc(background, func() { _ = conn.Close() })
	if p.session, err = csi.Open(ctx, conn, p.config.CSI.Timeout, p.clock); err != nil {
		return err
	}
	info := p.session.Info()
	klog.FromContext(ctx).Info("The CSI driver is ready", "driver", info.Name, "driverVersion", info.Version, "capabilities", info.Capabilities)
	if err := p.nameDriver(info.Name); err != nil {
		return err
	}
	p.health.require("driver", p.session.Ready)
	if err := p.findNode(ctx); err != nil {
		return err
	}
	if p.capacity, err = p.findCapacity(ctx, restConfig); err != nil {
		return err
	}

	hostname, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("finding the host's name: %w", err)
	}
	p.events = kube.NewEvents(background, p.clients.Events, info.Name+"_"+hostname+"_"+string(uuid.NewUUID()))
	return nil
}

// nameDriver sets up what depends on the driver's name alone.
func (p *process) nameDriver(name string) error {
	p.inTree = kube.NewInTree(name)
	if p.inTree.Plugin() == "" {
		p.metrics.Calls.SetDriver(name)
		return nil
	}
	if err := p.metrics.Calls.SetMigratedDriver(name); err != nil {
		return fmt.Errorf("measuring the calls of CSI driver %q: %w", name, err)
	}
	return nil
}

// standbyAfter is when a process that has no lease yet fills its caches. One that gets the
// lease at once does so when it has it: then they show all that was done before.
const standbyAfter = 500 * time.Millisecond

// watch prepares the informers, and the index that they feed.
func (p *process) watch(ctx, background context.Context) error {
	info := p.session.Info()
	sources, err := p.sourceScope(ctx)
	if err != nil {
		return err
	}
	if p.attributes, err = p.hasAttributes(); err != nil {
		return err
	}
	p.informers, err = kube.NewInformers(p.clients, kube.Driver{ //nolint:contextcheck // an index is computed in no context
		Name:              info.Name,
		Capabilities:      info.Capabilities,
		InTree:            p.inTree,
		Topology:          p.config.Gates.Topology && p.config.Controllers.Provisioner,
		Classes:           p.config.Controllers.Provisioner || p.config.Resizer.BackfillExpandSecrets,
		AttributesClasses: p.attributes,
		Capacity:          p.capacity.scope(),
		Sources:           sources,
		Home:              p.home(),
	})
	if err != nil {
		return err
	}
	p.health.require("caches", p.informers.Synced)
	p.follow = sync.OnceFunc(func() {
		p.informers.Start(background)
		go p.settle(background)
	})
	standby := time.AfterFunc(standbyAfter, p.follow)
	context.AfterFunc(background, func() { standby.Stop() })
	return nil
}

// settleAfter is how long after the caches have been filled the memory that was needed for it
// is given back: a burst that waited at the start is over by then.
const settleAfter = 5 * time.Second

// settle gives back the memory that filling the caches took: objects are decoded as a whole,
// of which a part is kept. Otherwise it would be kept for minutes where nothing happens.
func (p *process) settle(ctx context.Context) {
	if p.informers.WaitForSync(ctx) != nil {
		return // The program ends.
	}
	select {
	case <-p.clock.After(settleAfter):
		debug.FreeOSMemory()
	case <-ctx.Done():
	}
}

// hasAttributes tells whether VolumeAttributesClasses count: it is asked for, and the
// API server has them.
func (p *process) hasAttributes() (bool, error) {
	if !p.config.Gates.VolumeAttributesClass {
		return false, nil
	}
	return kube.HasAttributesClasses(p.clients.Core.Discovery())
}

// newIdentity names this process in the volumes that it makes, as
// external-provisioner does: the time, a random number, the driver, and in node
// deployment the node.
func newIdentity(now time.Time, driver, node string) string {
	identity := fmt.Sprintf("%d-%d-%s", now.UnixMilli(), rand.IntN(10000), driver)
	if node != "" {
		identity += "-" + node
	}
	return identity
}
