package sidecar

import (
	"context"
	"errors"
	"strconv"
	"sync"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	typedcoordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
)

// registry is an API server that holds one lease, and takes no write that is
// based on a state other than the last.
type registry struct {
	mu       sync.Mutex
	lease    *coordinationv1.Lease
	version  int
	watchers []*watch.RaceFreeFakeWatcher
}

func leaseResource() schema.GroupResource {
	return schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
}

func (r *registry) write(lease *coordinationv1.Lease) *coordinationv1.Lease {
	r.version++
	r.lease = lease.DeepCopy()
	r.lease.ResourceVersion = strconv.Itoa(r.version)
	for _, w := range r.watchers {
		if !w.IsStopped() {
			w.Modify(r.lease.DeepCopy())
		}
	}
	return r.lease.DeepCopy()
}

// holder is who has the lease.
func (r *registry) holder() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lease == nil || r.lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *r.lease.Spec.HolderIdentity
}

// connection is one process' way to the registry. It implements what an election
// needs of a client.
type connection struct {
	typedcoordinationv1.LeaseInterface
	registry *registry

	mu sync.Mutex
	// cut tells that no answer comes back any more.
	cut bool
	// blind tells that it may neither list nor watch.
	blind bool
}

func (c *connection) Leases(string) typedcoordinationv1.LeaseInterface { return c }

func (c *connection) disconnect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
}

// reach waits, if the connection is cut, for the end of the context.
func (c *connection) reach(ctx context.Context) error {
	c.mu.Lock()
	cut := c.cut
	c.mu.Unlock()
	if cut {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (c *connection) Get(ctx context.Context, name string, _ metav1.GetOptions) (*coordinationv1.Lease, error) {
	if err := c.reach(ctx); err != nil {
		return nil, err
	}
	c.registry.mu.Lock()
	defer c.registry.mu.Unlock()
	if c.registry.lease == nil {
		return nil, apierrors.NewNotFound(leaseResource(), name)
	}
	return c.registry.lease.DeepCopy(), nil
}

func (c *connection) Create(ctx context.Context, lease *coordinationv1.Lease, _ metav1.CreateOptions) (*coordinationv1.Lease, error) {
	if err := c.reach(ctx); err != nil {
		return nil, err
	}
	c.registry.mu.Lock()
	defer c.registry.mu.Unlock()
	if c.registry.lease != nil {
		return nil, apierrors.NewAlreadyExists(leaseResource(), lease.Name)
	}
	return c.registry.write(lease), nil
}

func (c *connection) Update(ctx context.Context, lease *coordinationv1.Lease, _ metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	if err := c.reach(ctx); err != nil {
		return nil, err
	}
	c.registry.mu.Lock()
	defer c.registry.mu.Unlock()
	if c.registry.lease == nil || c.registry.lease.ResourceVersion != lease.ResourceVersion {
		return nil, apierrors.NewConflict(leaseResource(), lease.Name, errors.New("it has changed"))
	}
	return c.registry.write(lease), nil
}

func (c *connection) List(ctx context.Context, _ metav1.ListOptions) (*coordinationv1.LeaseList, error) {
	if c.blind {
		return nil, apierrors.NewForbidden(leaseResource(), "", errors.New("no right to list"))
	}
	if err := c.reach(ctx); err != nil {
		return nil, err
	}
	return &coordinationv1.LeaseList{}, nil
}

func (c *connection) Watch(ctx context.Context, _ metav1.ListOptions) (watch.Interface, error) {
	c.registry.mu.Lock()
	defer c.registry.mu.Unlock()
	watcher := watch.NewRaceFreeFake()
	c.registry.watchers = append(c.registry.watchers, watcher)
	context.AfterFunc(ctx, watcher.Stop)
	return watcher, nil
}
