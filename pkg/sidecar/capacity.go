package sidecar

import (
	"context"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller/capacity"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/capacity"
)

// capacitySource is what publishing capacities takes from outside.
type capacitySource struct {
	client   kubernetes.Interface
	settings plan.Settings
}

// findCapacity returns the source; nil where capacities are not published. Every
// replica looks for the owner of the objects when it starts, so that a mistake in
// the deployment shows at once.
func (p *process) findCapacity(ctx context.Context, config *rest.Config) (*capacitySource, error) {
	z, info := p.config.Capacity, p.session.Info()
	if !z.Enabled {
		return nil, nil
	}
	source := &capacitySource{
		settings: plan.Settings{
			Driver:    info.Name,
			Topology:  info.Capabilities.Topology,
			Immediate: z.Immediate,
			Namespace: z.Namespace,
			ManagedBy: plan.ManagedBy(p.nodeName()),
		},
	}
	var err error
	if source.client, err = kube.NewClient(config, kube.Limits{QPS: z.QPS, Burst: z.Burst}); err != nil {
		return nil, err
	}
	if z.OwnerLevel < 0 {
		return source, nil
	}
	if source.settings.Owner, err = kube.Owner(ctx, p.clients, z.Namespace, z.Pod, z.OwnerLevel); err != nil {
		return nil, err
	}
	owner := source.settings.Owner
	klog.FromContext(ctx).Info("Publishing capacities", "namespace", z.Namespace, "ownerKind", owner.Kind, "owner", owner.Name)
	return source, nil
}

// scope says which objects are watched; nil for none.
func (s *capacitySource) scope() *kube.CapacityScope {
	if s == nil {
		return nil
	}
	return &kube.CapacityScope{
		Namespace: s.settings.Namespace,
		Driver:    s.settings.Driver,
		ManagedBy: s.settings.ManagedBy,
		Pair:      func(object *storagev1.CSIStorageCapacity) string { return plan.KeyOf(object).String() },
	}
}

// publisher publishes capacities.
type publisher struct{ controller *capacity.Controller }

func (p *process) newPublisher(stop <-chan struct{}) (*publisher, error) {
	z, w := p.config.Capacity, p.config.Work
	c, err := capacity.New(capacity.Deps{
		Classes:  p.informers.ClassLister(),
		Objects:  p.informers,
		Segments: p.segmentsOfPlaces(),
		Driver:   p.room(z.Threads, stop),
		Store:    kube.NewCapacities(p.capacity.client),
		Events:   p.events,
		Clock:    p.clock,
	}, capacity.Config{
		Settings:     p.capacity.settings,
		PollInterval: z.PollInterval,
		Queue:        p.queue("csistoragecapacity", z.Threads, w.RetryStart, w.RetryMax),
	})
	if err != nil {
		return nil, err
	}
	p.metrics.WatchCapacities(func() metrics.Capacities { return metrics.Capacities(c.Counts()) })
	return &publisher{c}, nil
}

// segmentsOfPlaces are those of the nodes, or that of the own one.
func (p *process) segmentsOfPlaces() *plan.Segments {
	if p.node == nil {
		return plan.NewSegments()
	}
	return plan.FixedSegments(p.node.home.Place)
}

// watch: see [part].
func (c *publisher) watch(p *process) error { return c.controller.Watch(p.informers) }

// prepare has nothing to do: the objects say all that there is to take over.
func (c *publisher) prepare(context.Context) error { return nil }

// run: see [part].
func (c *publisher) run(ctx context.Context, stop <-chan struct{}) { c.controller.Run(ctx, stop) }

// driverBack: see [part].
func (c *publisher) driverBack() { c.controller.DriverBack() }
