package sidecar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// lead works, with leader election as soon as this process has the lease, until
// stop ends.
func (p *process) lead(stop, background context.Context) error {
	if !p.config.LeaderElection.Enabled {
		return p.work(background, stop)
	}
	lock, err := p.lock()
	if err != nil {
		return err
	}
	e := &election{process: p, lock: lock, name: lock.LeaseMeta.Name}
	return e.run(stop, background)
}

// serviceAccountNamespace is the file that tells a pod its namespace.
const serviceAccountNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

func (p *process) lock() (*resourcelock.LeaseLock, error) {
	namespace := p.config.LeaderElection.Namespace
	if namespace == "" {
		content, _ := os.ReadFile(serviceAccountNamespace)
		namespace = strings.TrimSpace(string(content))
	}
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	holder, err := holderName()
	if err != nil {
		return nil, err
	}
	return &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: namespace, Name: leaseName(p.session.Info().Name)},
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

// leaseName makes a name of a driver's, as external-provisioner does, so that
// both are never at work at the same time.
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
	name    string
}

// candidacy is one run of an elector. It ends when the work has ended, or is
// called off before it has begun.
type candidacy struct {
	// begun or called off: whoever sets it first wins.
	decided atomic.Bool
	cancel  context.CancelFunc
	// result is sent when the work has ended.
	result chan error
}

// callOff ends a candidacy whose work has not begun.
func (c *candidacy) callOff() {
	if c.decided.CompareAndSwap(false, true) {
		c.cancel()
	}
}

// run is a candidate again and again until it has worked or is told to stop. A
// candidacy is called off when the holder gives the lease back, because the
// next one begins with taking it, where the elector would sleep for up to the
// retry period first.
func (e *election) run(stop, background context.Context) error {
	background, cancel := context.WithCancel(background)
	defer cancel()
	released := make(chan struct{}, 1)
	go e.watchRelease(background, released)
	for stop.Err() == nil {
		worked, err := e.stand(stop, background, released)
		if worked || err != nil {
			return err
		}
	}
	return nil
}

// stand is one candidacy; worked tells whether it got to work.
func (e *election) stand(stop, background context.Context, released <-chan struct{}) (worked bool, err error) {
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	c := &candidacy{cancel: cancel, result: make(chan error, 1)}
	elector, err := e.elector(stop, c)
	if err != nil {
		return false, err
	}
	e.process.health.watch(elector)
	defer context.AfterFunc(stop, c.callOff)()
	go func() {
		select {
		case <-released:
			c.callOff()
		case <-ctx.Done():
		}
	}()
	// Run returns when the lease is lost or, after ctx has ended, given back.
	elector.Run(ctx)
	lost := ctx.Err() == nil
	cancel()
	if c.decided.CompareAndSwap(false, true) {
		// The lease was lost before the work could begin.
		return false, nil
	}
	select {
	case err = <-c.result:
	default:
		if !lost {
			return false, nil
		}
		err = <-c.result
	}
	if lost {
		err = errors.Join(errLost, err)
	}
	return true, err
}

func (e *election) elector(stop context.Context, c *candidacy) (*leaderelection.LeaderElector, error) {
	l := e.process.config.LeaderElection
	leading := e.process.metrics.Leading.WithLabelValues(e.name)
	leading.Set(0)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            e.lock,
		Name:            e.name,
		LeaseDuration:   l.LeaseDuration,
		RenewDeadline:   l.RenewDeadline,
		RetryPeriod:     l.RetryPeriod,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				if !c.decided.CompareAndSwap(false, true) {
					return
				}
				leading.Set(1)
				c.result <- e.process.work(ctx, stop)
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

// watchRelease sends to released when the holder gives the lease back.
func (e *election) watchRelease(ctx context.Context, released chan<- struct{}) {
	leases := e.lock.Client.Leases(e.lock.LeaseMeta.Namespace)
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
