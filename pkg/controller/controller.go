package controller

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// Reconciler brings the world one step nearer to what a key asks for. It is
// called by several workers at once, but never twice at once for one key.
type Reconciler[K comparable] interface {
	Reconcile(ctx context.Context, key K) (Result, error)
}

// Options of a [Controller].
type Options struct {
	// Name names the queue in metrics and logs.
	Name string
	// Workers is the number of keys that are reconciled at once; at least 1.
	Workers int
	// RetryStart and RetryMax bound the back-off after failures; both are
	// positive, and RetryMax is not smaller.
	RetryStart, RetryMax time.Duration
	// Clock is the real one when nil.
	Clock clock.WithTicker
	// Jitter returns numbers in [0, 1); random ones when nil.
	Jitter func() float64
	// Metrics makes the metrics of the queue; none when nil.
	Metrics workqueue.MetricsProvider
}

func (o Options) validate() error {
	var errs []error
	if o.Name == "" {
		errs = append(errs, errors.New("a controller needs a name"))
	}
	if o.Workers < 1 {
		errs = append(errs, fmt.Errorf("a controller needs at least 1 worker, not %d", o.Workers))
	}
	if o.RetryStart <= 0 || o.RetryMax < o.RetryStart {
		errs = append(errs, fmt.Errorf("the retry interval must grow from a positive start, not from %s to %s", o.RetryStart, o.RetryMax))
	}
	return errors.Join(errs...)
}

// Controller runs a [Reconciler] for the keys that are added to it.
type Controller[K comparable] struct {
	name       string
	workers    int
	reconciler Reconciler[K]
	queue      workqueue.TypedRateLimitingInterface[K]
	wakeups    *wakeups[K]
}

// New returns a controller; it starts nothing but the queue, so that keys may
// be added before [Controller.Run].
func New[K comparable](options Options, reconciler Reconciler[K]) (*Controller[K], error) {
	if err := options.validate(); err != nil {
		return nil, err
	}
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	if options.Jitter == nil {
		options.Jitter = rand.Float64
	}
	limiter := newBackoff[K](options.RetryStart, options.RetryMax, options.Jitter)
	return &Controller[K]{
		name:       options.Name,
		workers:    options.Workers,
		reconciler: reconciler,
		wakeups:    newWakeups[K](),
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[K]{
			Name:            options.Name,
			Clock:           options.Clock,
			MetricsProvider: options.Metrics,
		}),
	}, nil
}

// Add asks for a key to be reconciled now, whatever its back-off.
func (c *Controller[K]) Add(key K) { c.queue.Add(key) }

// Wake reconciles all keys that wait for d (see [Result].WaitFor); their
// back-off starts anew.
func (c *Controller[K]) Wake(d Dependency) {
	for _, key := range c.wakeups.wake(d) {
		c.queue.Forget(key)
		c.queue.Add(key)
	}
}

// Run works until stop is closed or ctx ends, and returns when the last worker
// has finished. Closing stop lets reconciliations that are under way end in
// their own time; the end of ctx, which they are given, cancels them. Keys that
// are still queued are dropped.
func (c *Controller[K]) Run(ctx context.Context, stop <-chan struct{}) {
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithName(c.name))
	var working sync.WaitGroup
	working.Go(func() { c.dispatch(ctx, stop, &working) })
	select {
	case <-stop:
	case <-ctx.Done():
	}
	c.queue.ShutDown()
	working.Wait()
}

// dispatch hands each key to a goroutine of its own, of which there are as many as workers
// at most: those that wait for keys would only hold memory.
func (c *Controller[K]) dispatch(ctx context.Context, stop <-chan struct{}, working *sync.WaitGroup) {
	free := make(chan struct{}, c.workers)
	for {
		free <- struct{}{}
		key, shutdown := c.queue.Get()
		if shutdown {
			return
		}
		working.Go(func() {
			c.work(ctx, stop, key)
			<-free
		})
	}
}

func (c *Controller[K]) work(ctx context.Context, stop <-chan struct{}, key K) {
	defer c.queue.Done(key)
	// A queue that shuts down still hands out what it holds.
	if !ended(ctx, stop) {
		c.process(ctx, key)
	}
}

func ended(ctx context.Context, stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

func (c *Controller[K]) process(ctx context.Context, key K) {
	logger := klog.FromContext(ctx).WithValues("key", key)
	c.wakeups.begin(key)
	result, err := c.reconcile(klog.NewContext(ctx, logger), key)
	missed := c.wakeups.end(key, result.WaitFor)

	switch {
	case missed:
		c.queue.Forget(key)
		c.queue.Add(key)
	case err != nil && !IsTerminal(err):
		c.queue.AddRateLimited(key)
	case result.Again:
		c.queue.Add(key)
	default:
		c.queue.Forget(key)
	}
	if result.RequeueAfter > 0 {
		// Of two delays of one key the queue keeps the earlier.
		c.queue.AddAfter(key, result.RequeueAfter)
	}
	if err != nil {
		logger.Error(err, "Reconciling failed", "failures", c.queue.NumRequeues(key), "waitFor", result.WaitFor)
	}
}

// reconcile turns a panic into an error: one object that the program can't
// cope with must not take the service from all others.
func (c *Controller[K]) reconcile(ctx context.Context, key K) (result Result, err error) {
	defer func() {
		if r := recover(); r != nil {
			result, err = Result{}, fmt.Errorf("reconciling panicked: %v\n%s", r, debug.Stack())
		}
	}()
	return c.reconciler.Reconcile(ctx, key)
}
