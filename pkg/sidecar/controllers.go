package sidecar

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// inProgress is the number of claims, and of volumes, in progress for each call
// that the driver may get at one time: more than one, so that the driver need
// not wait while PersistentVolumes are written.
const inProgress = 2

// minInProgress is how many are at least: enough to share the writes of the
// journal, however few calls the driver may get.
const minInProgress = 64

// part is what takes the place of one sidecar while this process has the leases.
type part interface {
	// watch has the part's controllers watch what concerns them, beginning with what
	// there is now.
	watch(p *process) error
	// prepare takes over from the process that worked before. It is called once,
	// before run, and the error says why there can be no work.
	prepare(ctx context.Context) error
	// run works until stop is closed or ctx ends.
	run(ctx context.Context, stop <-chan struct{})
	// driverBack wakes what waits for the driver.
	driverBack()
}

// shared is what the parts have in common.
type shared struct {
	driver  csi.Driver
	locks   *controller.VolumeLocks
	secrets *kube.Secrets
	claims  *kube.Claims
	volumes *kube.Volumes
}

// newParts constructs the parts; after stop they make no further calls to the
// driver.
func (p *process) newParts(stop <-chan struct{}) ([]part, error) {
	s := shared{
		locks:   &controller.VolumeLocks{},
		secrets: kube.NewSecrets(p.clients.Core, p.clock),
		claims:  kube.NewClaims(p.clients.Core),
		volumes: kube.NewVolumes(p.clients.Core, p.inTree).Briefly(p.clients.Core.CoreV1().RESTClient()),
	}
	var parts []part
	var told []grpc.UnaryClientInterceptor
	if p.capacity != nil {
		publisher, err := p.newPublisher(stop)
		if err != nil {
			return nil, err
		}
		told = append(told, csi.OnExhausted(publisher.controller.Exhausted))
		parts = append(parts, publisher)
	}
	s.driver = csi.NewDriver(p.calls(p.budgets(), stop, told...))
	if p.config.Controllers.Provisioner {
		provisioner, err := p.newProvisioner(s, stop)
		if err != nil {
			return nil, err
		}
		parts = append(parts, provisioner)
	}
	if p.config.Controllers.Resizer {
		resizer, err := p.newResizer(s)
		if err != nil {
			return nil, err
		}
		parts = append(parts, resizer)
	}
	return parts, nil
}

// queue returns the options of a controller whose driver gets that many calls at
// one time.
func (p *process) queue(name string, calls int, retryStart, retryMax time.Duration) controller.Options {
	return controller.Options{
		Name:       name,
		Workers:    max(minInProgress, inProgress*calls),
		RetryStart: retryStart,
		RetryMax:   retryMax,
		Clock:      p.clock,
		Metrics:    p.metrics.Queues,
	}
}

// drainMargin is what is left, beyond the timeout of a call that has begun when
// the program is told to stop, to write down what came of it.
const drainMargin = 5 * time.Second

// work runs the controllers until stop ends, lets them finish, and returns nil;
// or until ctx ends, which cancels what they do. The error says why they can't
// go on.
func (p *process) work(ctx, stop context.Context) error {
	logger := klog.FromContext(ctx)
	barrier, err := p.raiseBarrier(ctx, stop)
	if err != nil {
		return unlessStopped(stop, err)
	}
	// Caches that are filled from now on show what the process before has done.
	p.follow()
	parts, err := p.newParts(stop.Done())
	if err != nil {
		return err
	}
	for _, part := range parts {
		if err := part.watch(p); err != nil {
			return err
		}
	}
	if err := p.prepare(ctx, stop, barrier, parts); err != nil {
		return unlessStopped(stop, err)
	}
	logger.Info("Working", "driver", p.session.Info().Name, "controllers", p.config.Controllers)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	stop, halt := context.WithCancel(stop)
	defer halt()
	go func() {
		returned := func() {
			for _, part := range parts {
				part.driverBack()
			}
		}
		if err := p.session.Watch(ctx, returned); err != nil {
			failed <- err
			halt()
		}
	}()
	context.AfterFunc(stop, func() {
		logger.Info("Stopping: finishing what is under way")
		time.AfterFunc(max(p.config.CSI.Timeout, p.config.Resizer.ExpandTimeout, p.config.Resizer.ModifyTimeout)+drainMargin, cancel)
	})
	var running sync.WaitGroup
	for _, part := range parts {
		running.Go(func() { part.run(ctx, stop.Done()) })
	}
	running.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// prepare waits until the caches show what the process before has done, and has the parts
// take over. As nothing is under way yet, the end of stop ends it at once.
func (p *process) prepare(ctx, stop context.Context, barrier *kube.Barrier, parts []part) error {
	ctx, cancel := endingWith(ctx, stop)
	defer cancel()
	if err := p.informers.WaitForSync(ctx); err != nil {
		return fmt.Errorf("starting to work: %w", err)
	}
	if err := again(ctx, "Waiting for the caches to catch up", func() error { return barrier.Wait(ctx, p.informers) }); err != nil {
		return fmt.Errorf("starting to work: %w", err)
	}
	for _, part := range parts {
		if err := part.prepare(ctx); err != nil {
			return err
		}
	}
	return nil
}

// raiseBarrier returns the barrier that the caches have to be past: from when this process
// has the leases, nobody else changes what it depends on.
func (p *process) raiseBarrier(ctx, stop context.Context) (barrier *kube.Barrier, err error) {
	ctx, cancel := endingWith(ctx, stop)
	defer cancel()
	err = again(ctx, "Waiting for the API server", func() error {
		barrier, err = kube.RaiseBarrier(ctx, p.clients.Metadata)
		return err
	})
	return barrier, err
}

// againAfter is the time until something is tried again without which there is no work.
const againAfter = time.Second

// again does something until it works or ctx ends, and logs what is waited for. The error
// is that of ctx.
func again(ctx context.Context, waiting string, do func() error) error {
	for {
		err := do()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		klog.FromContext(ctx).Error(err, waiting)
		select {
		case <-time.After(againAfter):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
