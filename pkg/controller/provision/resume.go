package provision

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// Resume takes over what another process has begun; the claims of the intents
// are to be looked at then, whether they exist or not.
func (c *Controller) Resume(intents []*journal.Intent) {
	for _, intent := range intents {
		c.attempts.inherit(inherit(intent))
		c.inUse(intent.Claim.UID, intent.Plans)
	}
}

// begin makes the attempt durable, before the first call.
func (c *Controller) begin(ctx context.Context, current *attempt) error {
	if err := c.deps.Journal.Begin(ctx, current.intent()); err != nil {
		return err
	}
	c.attempts.begin(current.claim.UID, current)
	return nil
}

// end forgets an attempt whose volume is stored, or does not exist.
func (c *Controller) end(uid types.UID) {
	c.attempts.end(uid)
	c.deps.Journal.End(uid)
	c.release(uid)
}

// recall looks how far the process got that has begun an attempt: it may have
// stored the PersistentVolume. The caches may not show that yet.
func (c *Controller) recall(ctx context.Context, current *attempt) (stored bool, err error) {
	volume, err := c.deps.Store.Get(ctx, current.plan.Volume.Name)
	if err != nil && !apierrors.IsNotFound(err) {
		return false, err
	}
	if ref := claimRef(volume); err == nil && ref != nil && ref.UID == current.claim.UID {
		c.end(current.claim.UID)
		c.attempts.noteStored(current.claim.UID)
		return true, nil
	}
	klog.FromContext(ctx).Info("Finishing the creation of a volume that another process has begun", "volume", current.plan.Volume.Name)
	current.unchecked = false
	return false, nil
}

func claimRef(volume *corev1.PersistentVolume) *corev1.ObjectReference {
	if volume == nil {
		return nil
	}
	return volume.Spec.ClaimRef
}

// lag is by how much the caches of a process that takes over, and its clock, may
// be behind.
const lag = 5 * time.Second

// doubts tells whether the claim may have a volume that the caches do not show
// yet: one that this process has stored, or the one that worked before.
func (c *Controller) doubts(claim *corev1.PersistentVolumeClaim) bool {
	old := claim.CreationTimestamp.Time.Before(c.started.Add(lag))
	return c.attempts.isStored(claim.UID) || old && !c.attempts.isSure(claim.UID)
}

// makeSure makes a volume for a claim if it is true that it has none.
func (c *Controller) makeSure(ctx context.Context, claim *corev1.PersistentVolumeClaim, plan *provision.Plan) (controller.Result, error) {
	now, err := c.deps.ClaimStore.Get(ctx, claim.Namespace, claim.Name)
	switch {
	case apierrors.IsNotFound(err):
		return controller.Result{}, nil
	case err != nil:
		return controller.Result{}, err
	case now.UID != claim.UID, now.DeletionTimestamp != nil, now.Spec.VolumeName != "":
		return controller.Result{}, nil
	}
	volume, err := c.deps.Store.Get(ctx, plan.Volume.Name)
	switch {
	case apierrors.IsNotFound(err):
		c.attempts.noteSure(claim.UID)
		return c.pursue(ctx, replacement(claim, plan, nil))
	case err != nil:
		return controller.Result{}, err
	}
	if err := takenFrom(claim, volume); err != nil {
		return c.failed(claim, err)
	}
	c.attempts.noteStored(claim.UID)
	return controller.Result{}, nil
}

// retains tells whether a volume is to be kept when its claim has gone.
func retains(volume *corev1.PersistentVolume) bool {
	return volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRetain
}

// keep stores a volume whose claim has gone rather than to delete it: it may
// have been stored and used before, and its policy is to be retained.
func (c *Controller) keep(ctx context.Context, current *attempt, volume *corev1.PersistentVolume) (controller.Result, error) {
	current.made, current.started = volume, c.deps.Clock.Now()
	return c.store(ctx, current)
}
