package sidecar

import (
	"context"
	"time"

	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/protection"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/options"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

// sourceScope says which data sources are watched: those that the driver can make
// volumes from, where the API server has them.
func (p *process) sourceScope(ctx context.Context) (scope kube.SourceScope, err error) {
	capabilities := p.session.Info().Capabilities
	if !p.config.Controllers.Provisioner {
		return scope, nil
	}
	logger := klog.FromContext(ctx)
	if capabilities.Snapshot {
		if scope.Snapshots, err = kube.HasSnapshots(ctx, p.clients.Core); err != nil {
			return scope, err
		}
		if !scope.Snapshots {
			logger.Info("VolumeSnapshots can't be watched, as they are not installed, or the right to list and watch them is missing: claims that wait for one are tried again after a time only")
		}
	}
	if p.config.Gates.CrossNamespaceVolumeDataSource && (capabilities.Snapshot || capabilities.Clone) {
		if scope.Grants, err = kube.HasGrants(p.clients.Core); err != nil {
			return scope, err
		}
		if !scope.Grants {
			logger.Info("ReferenceGrants are not installed: no claim may use a data source of another namespace")
		}
	}
	return scope, nil
}

// guard keeps data sources as long as volumes are made from them.
type guard struct {
	sources    *kube.Sources
	locks      *controller.VolumeLocks
	reconciler *protection.Controller
	queue      *controller.Controller[source.Key]
	informers  *kube.Informers
	sweep      time.Duration
	driver     string
	// others are the journals of other nodes; nil outside of node deployment.
	others *otherJournals
}

func (p *process) newGuard() *guard {
	return &guard{
		sources:   kube.NewSources(p.clients.Dynamic, p.informers),
		locks:     &controller.VolumeLocks{},
		informers: p.informers,
		sweep:     p.config.Protection.Sweep,
		driver:    p.session.Info().Name,
	}
}

func (g *guard) begin(p *process, j *journal.Journal, volumes guardedBy) error {
	if p.node != nil && p.config.Journal.Mode != options.JournalOff {
		g.others = p.newOtherJournals(j, p.batchesOfAllNodes())
	}
	u := users{guardedBy: volumes, Informers: p.informers, others: g.others}
	g.reconciler = protection.New(protection.Deps{
		Sources: g.sources,
		Users:   u,
		Volumes: p.informers.VolumeLister(),
		Home:    p.home(),
		Locks:   g.locks,
	}, g.driver)
	o := p.queue("protections", p.config.Protection.Threads, p.config.Work.RetryStart, p.config.Work.RetryMax)
	o.Workers = p.config.Protection.Threads
	var err error
	g.queue, err = controller.New(o, g.reconciler)
	return err
}

// released has a source looked at that a volume no longer is made from.
func (g *guard) released(key source.Key) { g.queue.Add(key) }

// run works until stop is closed or ctx ends.
func (g *guard) run(ctx context.Context, stop <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.sweepOrphans(ctx, stop)
	}()
	g.queue.Run(ctx, stop)
	<-done
}

// sweepOrphans looks at all snapshots that are kept for restores, at once and from
// time to time: another program may have left some.
func (g *guard) sweepOrphans(ctx context.Context, stop <-chan struct{}) {
	if g.sweep <= 0 {
		return
	}
	look := func() {
		if err := g.others.refresh(ctx); err != nil {
			klog.FromContext(ctx).Error(err, "Looking for records of other nodes that can't be read")
		}
		snapshots, err := g.informers.ProtectedSnapshots()
		if err != nil {
			klog.FromContext(ctx).Error(err, "Looking for snapshots that are kept for no restore")
		}
		for _, snapshot := range snapshots {
			g.queue.Add(snapshot.Object().Key)
		}
	}
	look()
	every(ctx, stop, g.sweep, look)
}
