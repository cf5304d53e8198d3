package modify

import (
	"context"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/modify"
)

// Key names one claim.
type Key = kube.ClaimKey

// KeyOf returns the key of a claim.
func KeyOf(claim *corev1.PersistentVolumeClaim) Key { return kube.KeyOf(claim) }

// Deps are what the controller works with; all are needed.
type Deps struct {
	Claims  corelisters.PersistentVolumeClaimLister
	Volumes corelisters.PersistentVolumeLister
	Classes storagelisters.VolumeAttributesClassLister

	Driver       Modifier
	Secrets      kube.SecretReader
	ClaimStatus  ClaimStatus
	VolumeWriter VolumeWriter
	Events       kube.EventSender

	Locks *controller.VolumeLocks
	Clock clock.PassiveClock
}

// Modifier modifies volumes at the driver. The call is idempotent (CSI spec,
// ControllerModifyVolume); see [csi.Classify] for its errors.
type Modifier interface {
	ControllerModifyVolume(ctx context.Context, request *csipb.ControllerModifyVolumeRequest, options ...csi.Option) error
}

// ClaimStatus writes the status and the annotations of claims: what differs
// between two states of an object, if it is still in the first one; else the
// error is a conflict. It returns the object as it is stored then, and the first
// one, without a request, when nothing differs.
type ClaimStatus interface {
	Get(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error)
	Patch(ctx context.Context, from, to *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error)
}

// VolumeWriter writes PersistentVolumes, under the same rules as [ClaimStatus].
type VolumeWriter interface {
	Get(ctx context.Context, name string) (*corev1.PersistentVolume, error)
	Patch(ctx context.Context, from, to *corev1.PersistentVolume) (*corev1.PersistentVolume, error)
}

// Config is what the controller is set to.
type Config struct {
	Driver       string
	Capabilities capability.Set
	Options      modify.Options
	// InfeasibleRetry is the time until a class that the driver has refused is
	// tried again.
	InfeasibleRetry time.Duration
}

// Controller modifies volumes. It implements controller.Reconciler[Key].
type Controller struct {
	deps   Deps
	config Config
	// written are own writes of claims. While the informer does not show them, they
	// keep what has just ended from being begun again.
	written *kube.Latest[*corev1.PersistentVolumeClaim]
	// pauses are those after infeasible answers.
	pauses *controller.Pauses
}

// New returns a controller; it starts nothing.
func New(deps Deps, config Config) *Controller {
	return &Controller{
		deps: deps, config: config,
		written: kube.NewLatest(kube.ShownClaim(deps.Claims)),
		pauses:  controller.NewPauses(config.InfeasibleRetry),
	}
}

// Reconcile brings the volume of the claim one step nearer to the class that the
// claim names. It holds the lock of the volume, so that it takes turns with
// whoever else changes it.
func (c *Controller) Reconcile(ctx context.Context, key Key) (controller.Result, error) {
	unlock, err := c.deps.Locks.Lock(ctx, string(key.UID))
	if err != nil {
		return controller.Result{}, err
	}
	defer unlock()

	claim, err := c.claim(key)
	if err != nil {
		return controller.Result{}, err
	}
	if claim == nil || !modify.Asks(claim) {
		c.pauses.Forget(string(key.UID))
		return controller.Result{}, nil
	}
	return c.step(ctx, claim)
}

// step asks the planner and does what it says.
func (c *Controller) step(ctx context.Context, claim *corev1.PersistentVolumeClaim) (controller.Result, error) {
	input, err := c.gather(claim)
	if err != nil {
		return controller.Result{}, err
	}
	decision := modify.Decide(input)
	switch decision.Verdict {
	case modify.Skip:
		if modify.Awaits(input) {
			return controller.Result{WaitFor: []controller.Dependency{controller.VolumeChanged(claim.Spec.VolumeName)}}, nil
		}
	case modify.Pause:
		return controller.Result{
			RequeueAfter: c.rest(claim, input.Now),
			WaitFor:      []controller.Dependency{controller.AttributesClassChanged(modify.Target(claim))},
		}, nil
	case modify.Pending, modify.Reject:
		return c.postpone(ctx, claim, decision)
	case modify.Cancel:
		return c.cancel(ctx, claim, decision)
	case modify.Act:
		return c.act(ctx, attempt{input, decision.Plan}, decision.Claim)
	}
	return controller.Result{}, nil
}
