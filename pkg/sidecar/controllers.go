package sidecar

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/deletion"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// inProgress is the number of claims, and of volumes, in progress for each call
// that the driver may get at one time: more than one, so that the driver need
// not wait while PersistentVolumes are written.
const inProgress = 4

// controllers are what works while this process has the lease.
type controllers struct {
	provision *provision.Controller
	claims    *controller.Controller[provision.Key]
	deletion  *deletion.Controller
	volumes   *controller.Controller[string]
}

// newControllers constructs the controllers; after stop they make no further
// calls to the driver.
func (p *process) newControllers(stop <-chan struct{}) (*controllers, error) {
	driver := csi.Limit(p.volumes, p.config.Work.Threads, stop)
	locks := &controller.VolumeLocks{}
	secrets := kube.NewSecrets(p.clients.Core, p.clock)
	store := kube.NewVolumes(p.clients.Core)

	var c controllers
	c.provision = provision.New(provision.Deps{
		Claims:      p.informers.ClaimLister(),
		Volumes:     p.informers.VolumeLister(),
		Classes:     p.informers.ClassLister(),
		Places:      p.places,
		Driver:      driver,
		Secrets:     secrets,
		Store:       store,
		Rescheduler: kube.NewClaims(p.clients.Core),
		Events:      p.events,
		Metrics:     p.metrics.Volumes,
		Locks:       locks,
		Clock:       p.clock,
	}, p.provisionConfig())
	c.deletion = deletion.New(deletion.Deps{
		Volumes:     p.informers.VolumeLister(),
		Classes:     p.informers.ClassLister(),
		Attachments: p.informers,
		Driver:      driver,
		Secrets:     secrets,
		Store:       store,
		Events:      p.events,
		Metrics:     p.metrics.Volumes,
		Locks:       locks,
		Clock:       p.clock,
	}, deletion.Config{
		Driver:        p.session.Info().Name,
		Capabilities:  p.session.Info().Capabilities,
		AttachedRetry: p.config.Work.RetryMax,
	})
	var errClaims, errVolumes error
	c.claims, errClaims = controller.New(p.queue("claims"), c.provision)
	c.volumes, errVolumes = controller.New(p.queue("volumes"), c.deletion)
	return &c, errors.Join(errClaims, errVolumes)
}

func (p *process) queue(name string) controller.Options {
	return controller.Options{
		Name:       name,
		Workers:    inProgress * p.config.Work.Threads,
		RetryStart: p.config.Work.RetryStart,
		RetryMax:   p.config.Work.RetryMax,
		Clock:      p.clock,
		Metrics:    p.metrics.Queues,
	}
}

func (p *process) provisionConfig() provision.Config {
	info, v := p.session.Info(), p.config.Volumes
	return provision.Config{
		Driver: plan.Driver{
			Name:         info.Name,
			Identity:     newIdentity(p.clock.Now(), info.Name),
			Capabilities: info.Capabilities,
		},
		Options: plan.Options{
			VolumeNamePrefix:          v.NamePrefix,
			VolumeNameUUIDLength:      v.NameUUIDLength,
			DefaultFSType:             v.DefaultFSType,
			ExtraCreateMetadata:       v.ExtraMetadata,
			Topology:                  p.config.Gates.Topology,
			StrictTopology:            v.StrictTopology,
			ImmediateTopology:         v.ImmediateTopology,
			ControllerPublishReadonly: v.PublishReadonly,
		},
		InfeasibleRetry: p.config.Work.RetryMax,
	}
}

// subscribe has the controllers told of what changes, beginning with what there
// is now.
func (c *controllers) subscribe(p *process) error {
	driver := p.session.Info().Name
	err := errors.Join(
		// First, so that no claim is decided on before the places are known.
		p.informers.FeedTopology(p.places, driver, func() { c.claims.Wake(provision.TopologyChanged()) }),
		p.informers.Handle(p.informers.Classes, "classes", kube.OnChange(func(_, class *storagev1.StorageClass) {
			c.claims.Wake(provision.ClassChanged(class.Name))
		}, func(class *storagev1.StorageClass) {
			c.claims.Wake(provision.ClassChanged(class.Name))
		})),
		p.informers.Handle(p.informers.Volumes, "volumes", kube.OnChange(func(_, volume *corev1.PersistentVolume) {
			c.provision.VolumeSeen(volume.Name)
			if deletion.Wants(driver, volume) {
				c.volumes.Add(volume.Name)
			}
		}, func(volume *corev1.PersistentVolume) {
			c.deletion.VolumeGone(volume.UID)
		})),
		p.informers.Handle(p.informers.Claims, "claims", kube.OnChange(func(old, claim *corev1.PersistentVolumeClaim) {
			c.claimChanged(driver, old, claim)
		}, func(claim *corev1.PersistentVolumeClaim) {
			if plan.Provisioner(claim) == driver {
				c.claims.Add(provision.KeyOf(claim))
			}
		})),
	)
	if p.informers.Attachments == nil {
		return err
	}
	return errors.Join(err, p.informers.Handle(p.informers.Attachments, "attachments", kube.OnChange(
		func(_, _ *storagev1.VolumeAttachment) {},
		func(attachment *storagev1.VolumeAttachment) {
			if volume := attachment.Spec.Source.PersistentVolumeName; volume != nil {
				c.volumes.Wake(deletion.Detached(*volume))
			}
		})))
}

func (c *controllers) claimChanged(driver string, old, claim *corev1.PersistentVolumeClaim) {
	if old != nil && old.UID != claim.UID {
		// A claim of the same name has taken its place.
		c.claims.Add(provision.KeyOf(old))
	}
	if provision.Wants(driver, old, claim) {
		c.claims.Add(provision.KeyOf(claim))
	}
}

// driverBack wakes what waits for the driver.
func (c *controllers) driverBack() {
	c.claims.Wake(provision.DriverBack())
	c.volumes.Wake(deletion.DriverBack())
}

// drainMargin is what is left, beyond the timeout of a call that has begun when
// the program is told to stop, to write down what came of it.
const drainMargin = 5 * time.Second

// work runs the controllers until stop ends, lets them finish, and returns nil;
// or until ctx ends, which cancels what they do. The error says why they can't
// go on.
func (p *process) work(ctx, stop context.Context) error {
	logger := klog.FromContext(ctx)
	c, err := p.newControllers(stop.Done())
	if err != nil {
		return err
	}
	if err := c.subscribe(p); err != nil {
		return err
	}
	if err := p.waitForSync(ctx, stop); err != nil {
		return unlessStopped(stop, err)
	}
	logger.Info("Working", "driver", p.session.Info().Name, "threads", p.config.Work.Threads)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	stop, halt := context.WithCancel(stop)
	defer halt()
	go func() {
		if err := p.session.Watch(ctx, c.driverBack); err != nil {
			failed <- err
			halt()
		}
	}()
	context.AfterFunc(stop, func() {
		logger.Info("Stopping: finishing what is under way")
		time.AfterFunc(p.config.CSI.Timeout+drainMargin, cancel)
	})
	var running sync.WaitGroup
	running.Go(func() { c.claims.Run(ctx, stop.Done()) })
	running.Go(func() { c.volumes.Run(ctx, stop.Done()) })
	running.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// waitForSync waits until the caches are filled, or it is time to stop.
func (p *process) waitForSync(ctx, stop context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(stop, cancel)()
	if err := p.informers.WaitForSync(ctx); err != nil {
		return fmt.Errorf("starting to work: %w", err)
	}
	return nil
}
