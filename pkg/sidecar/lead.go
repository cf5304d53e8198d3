package sidecar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/options"
)

// work is done until stop ends, or ctx, which cancels it.
type work func(ctx, stop context.Context) error

// lead works, with leader election as soon as this process has the leases, until
// stop ends. It takes the leases of all the sidecars whose place it takes, one
// after the other, so that none of them is at work at the same time.
func (p *process) lead(stop, background context.Context) error {
	todo := work(p.work)
	if p.config.LeaderElection.Enabled {
		var err error
		if todo, err = p.elected(leaseNames(p.config.Controllers, p.session.Info().Name), todo); err != nil {
			return err
		}
	}
	return todo(background, stop)
}

// elected returns the work that takes the leases in their order, and does what
// is to be done while it has them all.
func (p *process) elected(leases []string, todo work) (work, error) {
	for _, name := range slices.Backward(leases) {
		lock, err := p.lock(name)
		if err != nil {
			return nil, err
		}
		// The client of the lease ends each request, and so each watch, after a while.
		e := &election{process: p, lock: lock, watches: p.clients.Core.CoordinationV1(), name: name, work: todo}
		todo = e.run
	}
	return todo, nil
}

// resizerPrefix is the beginning of the names of external-resizer's leases.
const resizerPrefix = "external-resizer-"

// leaseNames returns the names of the leases that are needed, in the order in
// which everybody takes them.
func leaseNames(c options.Controllers, driver string) []string {
	var leases []string
	if c.Provisioner {
		leases = append(leases, leaseName(driver))
	}
	if c.Resizer {
		leases = append(leases, leaseName(resizerPrefix+driver))
	}
	return leases
}

func (p *process) lock(name string) (*resourcelock.LeaseLock, error) {
	namespace := p.config.LeaderElection.Namespace
	if namespace == "" {
		namespace = p.namespace()
	}
	holder, err := holderName()
	if err != nil {
		return nil, err
	}
	return &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: namespace, Name: name},
		Client:     p.clients.Leases.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: leaseName(holder), EventRecorder: p.events.Recorder()},
		Labels:     p.config.LeaderElection.Labels,
	}, nil
}

// holderName names the pod rather than the process: a container that has crashed
// and starts again takes its own lease back at once. Pods on the host's network
// all have the host's name, and need POD_NAME to be told apart.
func holderName() (string, error) {
	if pod := os.Getenv("POD_NAME"); pod != "" {
		return pod, nil
	}
	hostname, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("finding the host's name for the lease: %w", err)
	}
	return hostname, nil
}

// leaseName makes a name that a lease can have, in the way of the sidecars whose
// place this program takes.
func leaseName(driver string) string {
	name := regexp.MustCompile("[^a-zA-Z0-9-]").ReplaceAllString(driver, "-")
	if strings.HasSuffix(name, "-") {
		name += "X"
	}
	return name
}

// errLost says that another process may be at work.
var errLost = errors.New("the lease is lost: it could not be renewed in time")

// election takes the lease, works while it has it, and gives it back.
type election struct {
	process *process
	lock    *resourcelock.LeaseLock
	// watches is the client that the lease is watched with.
	watches coordinationclient.LeasesGetter
	name    string
	work    work
}

// candidacy is one run of an elector. It ends when the work has ended, or is
// called off before it has begun.
type candidacy struct {
	state  atomic.Int32
	cancel context.CancelFunc
	// begins is called when the work begins.
	begins func()
	// result is sent when the work has ended.
	result chan error
}

// The states of a candidacy. Whoever leaves waiting first decides.
const (
	waiting int32 = iota
	begun
	off
)

// callOff ends a candidacy whose work has not begun; it tells whether it has.
func (c *candidacy) callOff() (worked bool) {
	if c.state.CompareAndSwap(waiting, off) {
		c.cancel()
	}
	return c.state.Load() == begun
}

// run is a candidate again and again until it has worked or is told to stop. A
// candidacy is called off when the holder gives the lease back, because the
// next one begins with taking it, where the elector would sleep for up to the
// retry period first.
func (e *election) run(ctx, stop context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	released := make(chan struct{}, 1)
	// Who has the lease needs not be told that it is free.
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	go e.watchRelease(watching, released)
	for stop.Err() == nil && ctx.Err() == nil {
		worked, err := e.stand(ctx, stop, released, stopWatching)
		if worked || err != nil {
			return err
		}
	}
	return nil
}

// stand is one candidacy; worked tells whether it got to work.
//
// The end of ctx cancels the work, and not the elector, which keeps the lease until the
// work has ended, and gives it back then.
func (e *election) stand(ctx, stop context.Context, released <-chan struct{}, begins func()) (worked bool, err error) {
	electing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	c := &candidacy{cancel: cancel, begins: begins, result: make(chan error, 1)}
	elector, err := e.elector(ctx, stop, c)
	if err != nil {
		return false, err
	}
	e.process.health.watch(e.name, elector)
	defer context.AfterFunc(stop, func() { c.callOff() })()
	defer context.AfterFunc(ctx, func() { c.callOff() })()
	go func() {
		select {
		case <-released:
			c.callOff()
		case <-electing.Done():
		}
	}()
	// Run returns when the lease is lost or, after electing has ended, given back.
	elector.Run(electing)
	lost := electing.Err() == nil
	cancel()
	if !c.callOff() {
		return false, nil
	}
	err = <-c.result
	if lost && !errors.Is(err, errLost) {
		err = errors.Join(errLost, err)
	}
	return true, err
}

func (e *election) elector(ctx, stop context.Context, c *candidacy) (*leaderelection.LeaderElector, error) {
	l := e.process.config.LeaderElection
	leading := e.process.metrics.Leading.WithLabelValues(e.name)
	leading.Set(0)
	renewals := e.process.metrics.Renewals.WithLabelValues(e.name)
	until := func(end time.Time) { e.process.fence.extend(e.name, end) }
	held := hold(e.lock, l.RenewDeadline, until, renewals.Inc)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            held,
		Name:            e.name,
		LeaseDuration:   l.LeaseDuration,
		RenewDeadline:   l.RenewDeadline,
		RetryPeriod:     l.RetryPeriod,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(electing context.Context) {
				if !c.state.CompareAndSwap(waiting, begun) {
					return
				}
				ctx, cancel := endingWith(ctx, electing)
				defer cancel()
				c.begins()
				leading.Set(1)
				c.result <- held.during(ctx, func(ctx context.Context) error { return e.work(ctx, stop) })
				leading.Set(0)
				c.cancel()
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("preparing leader election: %w", err)
	}
	return elector, nil
}

// watchRelease sends to released when the holder gives the lease back, until ctx ends.
func (e *election) watchRelease(ctx context.Context, released chan<- struct{}) {
	leases := e.watches.Leases(e.lock.LeaseMeta.Namespace)
	one := "metadata.name=" + e.name
	for ctx.Err() == nil {
		if list, err := leases.List(ctx, metav1.ListOptions{FieldSelector: one}); err != nil {
			klog.FromContext(ctx).V(2).Info("Can't watch the lease: taking over takes up to the retry period", "err", err)
		} else if watcher, err := leases.Watch(ctx, metav1.ListOptions{FieldSelector: one, ResourceVersion: list.ResourceVersion}); err == nil {
			for event := range watcher.ResultChan() {
				if isFree(event.Object) {
					signal(released)
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(e.process.config.LeaderElection.RetryPeriod):
		}
	}
}
