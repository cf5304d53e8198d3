package sidecar

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/protection"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
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

// guard has claims wait for their data sources, and keeps sources as long as volumes
// are made from them.
type guard struct {
	sources   *kube.Sources
	locks     *controller.VolumeLocks
	queue     *controller.Controller[source.Key]
	informers *kube.Informers
	sweep     time.Duration
	driver    string
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
	reconciler := protection.New(protection.Deps{
		Sources: g.sources,
		Users:   u,
		Volumes: p.informers.VolumeLister(),
		Home:    p.home(),
		Locks:   g.locks,
	}, g.driver)
	o := p.queue("protections", p.config.Protection.Threads, p.config.Work.RetryStart, p.config.Work.RetryMax)
	o.Workers = p.config.Protection.Threads
	var err error
	g.queue, err = controller.New(o, reconciler)
	return err
}

// released has a source looked at that a volume no longer is made from.
func (g *guard) released(key source.Key) { g.queue.Add(key) }

// watch has sources looked at when they, or those who need them, change, and
// wakes the claims that wait for them.
func (g *guard) watch(claims *controller.Controller[provision.Key]) error {
	err := errors.Join(
		g.informers.Handle(g.informers.Claims, "claims and their sources", kube.OnChange(func(old, claim *corev1.PersistentVolumeClaim) {
			g.claimChanged(claims, old, claim)
		}, func(claim *corev1.PersistentVolumeClaim) {
			g.stopped(claim)
			g.wake(claims, claimKey(claim))
		})),
		g.informers.Handle(g.informers.Volumes, "volumes to be cloned", kube.OnChange(func(_, volume *corev1.PersistentVolume) {
			if ref := volume.Spec.ClaimRef; ref != nil {
				g.wake(claims, source.Key{Kind: source.KindClaim, Namespace: ref.Namespace, Name: ref.Name})
			}
		}, func(*corev1.PersistentVolume) {})),
	)
	if g.informers.Snapshots != nil {
		err = errors.Join(err, g.informers.Handle(g.informers.Snapshots, "snapshots", kube.OnChange(func(old, snapshot *source.Snapshot) {
			g.snapshotChanged(claims, old, snapshot)
		}, func(snapshot *source.Snapshot) { g.wake(claims, snapshot.Object().Key) })))
	}
	if g.informers.Grants != nil {
		changed := func(grant *source.Grant) { claims.Wake(provision.GrantsChanged(grant.Namespace)) }
		err = errors.Join(err, g.informers.Handle(g.informers.Grants, "grants",
			kube.OnChange(func(_, grant *source.Grant) { changed(grant) }, changed)))
	}
	return err
}

func claimKey(claim *corev1.PersistentVolumeClaim) source.Key {
	return source.Key{Kind: source.KindClaim, Namespace: claim.Namespace, Name: claim.Name}
}

// wake has the claims go on that wait for a source, if there are any.
func (g *guard) wake(claims *controller.Controller[provision.Key], key source.Key) {
	if waiting, err := g.informers.ClaimsOf(key); err == nil && len(waiting) > 0 {
		claims.Wake(provision.SourceChanged(key))
	}
}

func (g *guard) claimChanged(claims *controller.Controller[provision.Key], old, claim *corev1.PersistentVolumeClaim) {
	if old != nil && wants(old) && (!wants(claim) || old.UID != claim.UID) {
		g.stopped(old)
	}
	if old == nil || !provision.SameSource(old, claim) {
		g.wake(claims, claimKey(claim))
	}
	isCloned := slices.Contains(claim.Finalizers, names.CloneFinalizer)
	if isCloned && (old == nil || !slices.Contains(old.Finalizers, names.CloneFinalizer) || old.DeletionTimestamp == nil && claim.DeletionTimestamp != nil) {
		g.queue.Add(claimKey(claim))
	}
}

// wants tells whether a claim may still get its volume from a source.
func wants(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Spec.VolumeName == "" && claim.DeletionTimestamp == nil
}

// stopped has the source of a claim looked at that no longer needs it.
func (g *guard) stopped(claim *corev1.PersistentVolumeClaim) {
	if ref, ok := source.Of(claim); ok && (ref.IsSnapshot() || ref.IsClaim()) {
		g.queue.Add(ref.Key)
	}
}

func (g *guard) snapshotChanged(claims *controller.Controller[provision.Key], old, snapshot *source.Snapshot) {
	if old == nil || !old.SameToClaims(snapshot) {
		g.wake(claims, snapshot.Object().Key)
	}
	if len(snapshot.Finalizers) > 0 && old != nil {
		g.queue.Add(snapshot.Object().Key)
	}
}

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
