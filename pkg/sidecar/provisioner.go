package sidecar

import (
	"context"
	"errors"
	"sync"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/deletion"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/options"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// provisioner creates and deletes volumes.
type provisioner struct {
	journal   *journal.Journal
	guard     *guard
	provision *provision.Controller
	claims    *controller.Controller[provision.Key]
	deletion  *deletion.Controller
	volumes   *controller.Controller[string]
}

func (p *process) newProvisioner(s shared, stop <-chan struct{}) (*provisioner, error) {
	c := &provisioner{guard: p.newGuard()}
	c.journal = p.newJournal(c.judge(p))
	handles := kube.NewHandles(p.clients, p.informers, p.session.Info().Name, p.inTree)
	c.provision = provision.New(provision.Deps{
		Claims:     p.informers.ClaimLister(),
		Volumes:    p.informers.VolumeLister(),
		Classes:    p.informers.ClassLister(),
		InTree:     p.inTree,
		Attributes: p.informers.AttributesClassLister(),
		Places:     p.places,
		Driver:     s.driver,
		Capacity:   p.roomOfNode(stop),
		Secrets:    s.secrets,
		Store:      s.volumes,
		Handles:    handles,
		ClaimStore: s.claims,
		Journal:    c.journal,
		Events:     p.events,
		Sources:    c.guard.sources,

		SourceLocks: c.guard.locks,
		Released:    c.guard.released,

		Metrics: p.metrics.Volumes,
		Locks:   s.locks,
		Clock:   p.clock,
	}, p.provisionConfig())
	c.deletion = deletion.New(deletion.Deps{
		Volumes:     p.informers.VolumeLister(),
		Classes:     p.informers.ClassLister(),
		Attachments: p.informers,
		Handles:     handles,
		InTree:      p.inTree,
		Driver:      s.driver,
		Secrets:     s.secrets,
		Store:       s.volumes,
		Journal:     c.journal,
		Events:      p.events,
		Metrics:     p.metrics.Volumes,
		Locks:       s.locks,
		Clock:       p.clock,
	}, deletion.Config{
		Driver:        p.session.Info().Name,
		Capabilities:  p.session.Info().Capabilities,
		Home:          p.home(),
		AttachedRetry: p.config.Work.RetryMax,
	})
	var errClaims, errVolumes error
	w := p.config.Work
	// Twice as many as of others: some hundred wait for the journal while the API
	// server is slow, and PersistentVolumes are to be written meanwhile.
	c.claims, errClaims = controller.New(p.queue("claims", 2*w.Threads, w.RetryStart, w.RetryMax), c.provision)
	c.volumes, errVolumes = controller.New(p.queue("volumes", w.Threads, w.RetryStart, w.RetryMax), c.deletion)
	return c, errors.Join(errClaims, errVolumes, c.guard.begin(p, c.journal, c.provision))
}

func (p *process) provisionConfig() provision.Config {
	info := p.session.Info()
	return provision.Config{
		Driver: plan.Driver{
			Name:         info.Name,
			InTreePlugin: p.inTree.Plugin(),
			Identity:     newIdentity(p.clock.Now(), info.Name, p.nodeName()),
			Capabilities: info.Capabilities,
		},
		Options:         PlanOptions(p.config, p.attributes),
		InfeasibleRetry: p.config.Work.RetryMax,
		Node:            p.ownNode(),
		Contest:         p.contest(),
	}
}

// PlanOptions returns what flags say about how volumes are made; attributes tells
// whether VolumeAttributesClasses count.
func PlanOptions(c options.Config, attributes bool) plan.Options {
	v := c.Volumes
	return plan.Options{
		VolumeNamePrefix:               v.VolumeNamePrefix,
		VolumeNameUUIDLength:           v.VolumeNameUUIDLength,
		DefaultFSType:                  v.DefaultFSType,
		ExtraCreateMetadata:            v.ExtraCreateMetadata,
		Topology:                       c.Gates.Topology,
		StrictTopology:                 v.StrictTopology,
		ImmediateTopology:              v.ImmediateTopology,
		VolumeAttributesClass:          attributes,
		ControllerPublishReadonly:      v.ControllerPublishReadonly,
		CrossNamespaceVolumeDataSource: c.Gates.CrossNamespaceVolumeDataSource,
		PreventVolumeModeConversion:    v.PreventVolumeModeConversion,
	}
}

// watch: see [part].
func (c *provisioner) watch(p *process) error {
	return errors.Join(
		c.provision.Watch(p.informers, p.places, c.claims),
		c.deletion.Watch(p.informers, c.volumes),
		c.guard.reconciler.Watch(p.informers, c.guard.queue),
	)
}

// run works until stop is closed or ctx ends. The journal is closed when nobody
// needs it any more.
func (c *provisioner) run(ctx context.Context, stop <-chan struct{}) {
	writing, closeJournal := context.WithCancel(ctx)
	var recording, running sync.WaitGroup
	recording.Go(func() { c.journal.Run(writing) })
	running.Go(func() { c.claims.Run(ctx, stop) })
	running.Go(func() { c.volumes.Run(ctx, stop) })
	running.Go(func() { c.guard.run(ctx, stop) })
	running.Go(func() { c.adoptLate(ctx, stop) })
	running.Wait()
	c.flush(ctx)
	closeJournal()
	recording.Wait()
}

// driverBack wakes what waits for the driver.
func (c *provisioner) driverBack() {
	c.claims.Wake(controller.DriverReconnected())
	c.volumes.Wake(controller.DriverReconnected())
}
