// Package protection takes the finalizers from snapshots and claims that no volume
// is made from any more. They are set where a volume is made.
package protection

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/protection"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// Deps are what the controller works with; all are needed.
type Deps struct {
	Sources Sources
	Users   Users
	Volumes corelisters.PersistentVolumeLister
	// Home is the own node in node deployment, where the sidecar of the node that has a
	// source looks after it; nil outside of it.
	Home *topology.Home
	// Locks are those by which the protection of a source begins.
	Locks *controller.VolumeLocks
}

// Sources reads sources, and ends their protection; see [kube.Sources].
type Sources interface {
	Snapshot(ctx context.Context, namespace, name string) (*source.Snapshot, error)
	Content(ctx context.Context, name string) (*source.Content, error)
	Claim(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error)
	Unprotect(ctx context.Context, object source.Object) error
}

// Users tells who needs a source.
type Users interface {
	// InUse tells whether a volume may be under way that is made from it.
	InUse(key source.Key) bool
	// ClaimsOf returns the claims that name it and the driver, and have no volume.
	ClaimsOf(key source.Key) ([]*corev1.PersistentVolumeClaim, error)
	// Elsewhere tells the same as InUse for the processes of other nodes; it takes a
	// request, and is asked last.
	Elsewhere(ctx context.Context, key source.Key) (bool, error)
}

// elsewhereRetry is the time until a source is looked at again that another node's
// process needs: nothing tells when it has ended.
const elsewhereRetry = 30 * time.Second

// Controller ends the protection of sources. It implements
// controller.Reconciler[source.Key].
type Controller struct {
	deps   Deps
	driver string
}

// another is the owner of what is none of this process's business.
const another = "another"

// New returns a controller for a driver; it starts nothing.
func New(deps Deps, driver string) *Controller { return &Controller{deps, driver} }

// Reconcile takes the finalizer from a source that nobody needs any more. Nobody
// begins to need it meanwhile, as that takes the same lock; and who begins
// afterwards looks whether the finalizer is there.
func (c *Controller) Reconcile(ctx context.Context, key source.Key) (controller.Result, error) {
	unlock, err := c.deps.Locks.Lock(ctx, key.String())
	if err != nil {
		return controller.Result{}, err
	}
	defer unlock()
	input, object, err := c.gather(ctx, key)
	if err != nil {
		return controller.Result{}, err
	}
	if plan.Decide(input) != plan.Release {
		return controller.Result{}, nil
	}
	elsewhere, err := c.deps.Users.Elsewhere(ctx, key)
	if err != nil {
		return controller.Result{}, err
	}
	if elsewhere {
		return controller.Result{RequeueAfter: elsewhereRetry}, nil
	}
	err = c.deps.Sources.Unprotect(ctx, object)
	switch {
	case apierrors.IsForbidden(err):
		return controller.Result{}, controller.Terminal(err)
	case apierrors.IsConflict(err):
		// Somebody has changed it meanwhile, as Kubernetes does when a claim is bound.
		// No later event need tell that the protection is to end.
		return controller.Result{Again: true}, nil
	case err == nil:
		klog.FromContext(ctx).V(2).Info("Nothing is made from the source any more: it may be deleted", "source", key.String())
	}
	return controller.Result{}, err
}

// gather collects what the planner needs to know. What no finalizer was seen on is
// not looked at further: when it is seen, it is looked at again. Nor is anything read
// that a cache can't tell of a source that is needed anyway.
func (c *Controller) gather(ctx context.Context, key source.Key) (input plan.Input, object source.Object, err error) {
	object.Key = key
	input = plan.Input{Driver: c.driver, Protected: true, InUse: c.deps.Users.InUse(key)}
	if input.Claims, err = c.deps.Users.ClaimsOf(key); err != nil || plan.Decide(input) == plan.Keep {
		return input, object, err
	}
	input.Protected = false
	if key.Kind == source.KindSnapshot {
		err = c.gatherSnapshot(ctx, &input, &object)
	} else {
		err = c.gatherClaim(ctx, &input, &object)
	}
	return input, object, err
}

func (c *Controller) gatherSnapshot(ctx context.Context, input *plan.Input, object *source.Object) error {
	snapshot, err := c.deps.Sources.Snapshot(ctx, object.Namespace, object.Name)
	if err != nil || snapshot == nil || !slices.Contains(snapshot.Finalizers, names.SnapshotFinalizer) {
		return err
	}
	object.UID = snapshot.UID
	input.Protected, input.Deleting = true, snapshot.DeletionTimestamp != nil
	if snapshot.Status.Content == nil || *snapshot.Status.Content == "" {
		return nil
	}
	content, err := c.deps.Sources.Content(ctx, *snapshot.Status.Content)
	if err != nil || content == nil {
		return err
	}
	input.Owner = content.Spec.Driver
	if node := content.Labels[names.SnapshotManagedBy]; node != "" && c.deps.Home != nil && node != c.deps.Home.Node {
		input.Owner = another
	}
	return nil
}

func (c *Controller) gatherClaim(ctx context.Context, input *plan.Input, object *source.Object) error {
	claim, err := c.deps.Sources.Claim(ctx, object.Namespace, object.Name)
	if err != nil || claim == nil || !slices.Contains(claim.Finalizers, names.CloneFinalizer) {
		return err
	}
	object.UID = claim.UID
	input.Protected, input.Deleting = true, claim.DeletionTimestamp != nil
	volume, err := c.deps.Volumes.Get(claim.Spec.VolumeName)
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return err
	case volume.Spec.CSI != nil && c.deps.Home.Reaches(volume.Spec.NodeAffinity):
		input.Owner = volume.Spec.CSI.Driver
	default:
		// It is not kept whole, as it is another driver's, or another node's.
		input.Owner = another
	}
	return nil
}
