package capacity

import (
	"context"
	"sync"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/capacity"
)

// Deps are what the controller works with; all are needed.
type Deps struct {
	Classes  storagelisters.StorageClassLister
	Objects  Objects
	Segments *plan.Segments

	Driver csi.Capacity
	Store  Store
	Events kube.EventSender
	Clock  clock.WithTicker
}

// Objects are the CSIStorageCapacity objects that the informer shows; see
// [kube.Informers].
type Objects interface {
	CapacitiesFor(pair string) ([]*storagev1.CSIStorageCapacity, error)
	AllCapacities() []*storagev1.CSIStorageCapacity
}

// Store reads and writes CSIStorageCapacity objects; see [kube.Capacities].
type Store interface {
	Get(ctx context.Context, namespace, name string) (*storagev1.CSIStorageCapacity, error)
	Create(ctx context.Context, object *storagev1.CSIStorageCapacity) error
	Patch(ctx context.Context, from, to *storagev1.CSIStorageCapacity) (*storagev1.CSIStorageCapacity, error)
	Delete(ctx context.Context, object *storagev1.CSIStorageCapacity) error
}

// Config is what the controller is set to.
type Config struct {
	plan.Settings
	// PollInterval is the time after which the driver is asked again for every
	// pair.
	PollInterval time.Duration
	// Queue are the options of the engine.
	Queue controller.Options
}

// Controller publishes capacities.
type Controller struct {
	deps   Deps
	config Config
	engine *controller.Controller[plan.Key]
	// written are the objects as the last patches have left them.
	written *kube.Latest[*storagev1.CSIStorageCapacity]

	mu sync.Mutex
	// classes are the names of those whose capacity is published.
	classes map[string]struct{}
	// due are the pairs for which the driver must be asked.
	due map[plan.Key]struct{}
}

// New returns a controller; it starts nothing but the queue, so that it can be
// told of what there is before [Controller.Run].
func New(deps Deps, config Config) (*Controller, error) {
	c := &Controller{
		deps:    deps,
		config:  config,
		classes: map[string]struct{}{},
		due:     map[plan.Key]struct{}{},
	}
	c.written = kube.NewLatest(c.shown)
	var err error
	c.engine, err = controller.New(config.Queue, reconciler{c})
	return c, err
}

// shown returns the object as the informer shows it.
func (c *Controller) shown(object *storagev1.CSIStorageCapacity) (*storagev1.CSIStorageCapacity, bool) {
	objects, err := c.deps.Objects.CapacitiesFor(plan.KeyOf(object).String())
	if err != nil {
		return nil, false
	}
	for _, shown := range objects {
		if shown.UID == object.UID {
			return shown, true
		}
	}
	return nil, false
}

// reconciler is the engine's view of the controller.
type reconciler struct{ c *Controller }

// Reconcile brings one pair in order.
func (r reconciler) Reconcile(ctx context.Context, key plan.Key) (controller.Result, error) {
	due := r.c.takeDue(key)
	input, err := r.c.gather(key, due)
	if err == nil {
		err = r.c.apply(ctx, input, plan.Decide(input))
	}
	if err != nil && due {
		r.c.setDue(key)
	}
	return result(err)
}

// Run works until stop is closed or ctx ends, and returns when the last worker
// has finished.
func (c *Controller) Run(ctx context.Context, stop <-chan struct{}) {
	var running sync.WaitGroup
	running.Go(func() { c.engine.Run(ctx, stop) })
	running.Go(func() { c.poll(ctx, stop) })
	running.Wait()
}

// poll asks for all pairs in the poll interval. A pair that is still in the queue
// from the last time is there once.
func (c *Controller) poll(ctx context.Context, stop <-chan struct{}) {
	ticker := c.deps.Clock.NewTicker(c.config.PollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
		case <-stop:
			return
		case <-ctx.Done():
			return
		}
		for _, segment := range c.deps.Segments.All() {
			c.lookAtSegment(segment)
		}
	}
}

func (c *Controller) setDue(key plan.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due[key] = struct{}{}
}

func (c *Controller) takeDue(key plan.Key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, due := c.due[key]
	delete(c.due, key)
	return due
}

// Counts are numbers of pairs and objects.
type Counts struct {
	// Goal is the number of pairs, each of which shall have an object.
	Goal int
	// Current is the number of pairs that have one.
	Current int
	// Obsolete is the number of objects that are to be deleted.
	Obsolete int
}

// Counts returns the numbers as the informers show them. It takes one look at
// each object.
func (c *Controller) Counts() Counts {
	counts := Counts{Goal: len(c.publishedClasses()) * c.deps.Segments.Len()}
	seen := map[plan.Key]struct{}{}
	for _, object := range c.deps.Objects.AllCapacities() {
		key := plan.KeyOf(object)
		_, again := seen[key]
		if again || !c.wanted(key) {
			counts.Obsolete++
			continue
		}
		seen[key] = struct{}{}
		counts.Current++
	}
	return counts
}
