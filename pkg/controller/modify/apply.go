package modify

import (
	"context"
	"errors"
	"fmt"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/modify"
)

// attempt is a plan that is being carried out, and what it was made from.
type attempt struct {
	input modify.Input
	plan  *modify.Plan
}

// act modifies the volume. The claim is written only when the Secret is there:
// from then on it says that the driver may be at it.
func (c *Controller) act(ctx context.Context, a attempt, started *corev1.PersistentVolumeClaim) (controller.Result, error) {
	credentials, err := kube.ReadCredentials(ctx, c.deps.Secrets, a.plan.Secret, credentialsUse)
	if err != nil {
		return c.failed(a.input.Claim, err)
	}
	a.input.Claim, err = c.writeClaim(ctx, a.input.Claim, started)
	if err != nil {
		return c.notStored(started, err)
	}
	if a.plan.Begins {
		c.deps.Events.Normal(a.input.Claim, names.ReasonVolumeModify, fmt.Sprintf(
			"Modifying volume %q to VolumeAttributesClass %q at CSI driver %q", a.input.Volume.Name, a.plan.Target, c.config.Driver))
	}
	err = c.deps.Driver.ControllerModifyVolume(ctx, &csipb.ControllerModifyVolumeRequest{
		VolumeId:          a.plan.Request.GetVolumeId(),
		MutableParameters: a.plan.Request.GetMutableParameters(),
		Secrets:           credentials.Reveal(),
	}, csi.IfStill(func() error { return c.still(a) }))
	if errors.Is(err, csi.ErrWithdrawn) {
		klog.FromContext(ctx).Info("Not modifying the volume, as something has changed: deciding again", "reason", err)
		return controller.Result{Again: true}, nil
	}
	if err != nil {
		if a.plan.Secret != nil {
			c.deps.Secrets.Forget(*a.plan.Secret)
		}
		return c.notModified(ctx, a, err)
	}
	return c.modified(ctx, a)
}

// still returns an error when a plan is no longer right, as the caches are now.
func (c *Controller) still(a attempt) error {
	claim, err := c.claim(KeyOf(a.input.Claim))
	if err != nil {
		return err
	}
	if claim == nil {
		return fmt.Errorf("claim %s/%s has gone", a.input.Claim.Namespace, a.input.Claim.Name)
	}
	now, err := c.gather(claim)
	if err != nil {
		return err
	}
	if now.Volume != nil && now.Volume.UID != a.input.Volume.UID {
		return fmt.Errorf("PersistentVolume %q has been replaced", a.input.Volume.Name)
	}
	return a.plan.Still(now)
}

// modified stores that the driver has succeeded, first in the volume: a claim
// that says so is not looked at again.
func (c *Controller) modified(ctx context.Context, a attempt) (controller.Result, error) {
	input, err := c.refreshed(a.input)
	if err != nil {
		return controller.Result{}, err
	}
	volume := input.Volume.Name
	if input.Volume, err = c.recordVolume(ctx, input, a.plan); err != nil {
		return c.notStored(input.Claim, fmt.Errorf("storing that volume %q is modified to VolumeAttributesClass %q: %w", volume, a.plan.Target, err))
	}
	claim, err := c.recordClaim(ctx, input, func(in modify.Input) *corev1.PersistentVolumeClaim {
		return modify.Conclude(in, a.plan).Claim
	})
	if err != nil {
		return c.notStored(input.Claim, fmt.Errorf("storing that volume %q is modified to VolumeAttributesClass %q: %w", volume, a.plan.Target, err))
	}
	c.deps.Events.Normal(claim, names.ReasonVolumeModifySuccessful, fmt.Sprintf(
		"Modified volume %q to VolumeAttributesClass %q", input.Volume.Name, a.plan.Target))
	if modify.Target(claim) != a.plan.Target {
		// The claim has named another class meanwhile.
		return c.step(ctx, claim)
	}
	return controller.Result{}, nil
}

// notModified stores what an error of the driver means for the claim.
func (c *Controller) notModified(ctx context.Context, a attempt, err error) (controller.Result, error) {
	failure, ok := failureOf(err)
	explained := fmt.Errorf("modifying volume %q to VolumeAttributesClass %q at CSI driver %q: %w", a.input.Volume.Name, a.plan.Target, c.config.Driver, csi.Plain(err))
	if !ok {
		// Nothing was asked of the driver, as when the program stops.
		return controller.Result{WaitFor: c.dependencies(a.plan.Target)}, explained
	}
	c.report(a.input.Claim, c.consequence(failure, explained))
	input, err := c.refreshed(a.input)
	if err != nil {
		return controller.Result{}, err
	}
	claim, err := c.recordClaim(ctx, input, func(in modify.Input) *corev1.PersistentVolumeClaim {
		return modify.Failed(in, a.plan, failure)
	})
	if err != nil {
		return controller.Result{}, fmt.Errorf("%w; storing that failed, too: %w", explained, err)
	}
	result := controller.Result{WaitFor: c.dependencies(a.plan.Target)}
	if failure.Outcome == modify.Infeasible && modify.Target(claim) == a.plan.Target {
		result.RequeueAfter = c.config.InfeasibleRetry
		return result, controller.Terminal(explained)
	}
	return result, explained
}

// consequence adds to an error what comes of it.
func (c *Controller) consequence(failure modify.Failure, err error) error {
	switch failure.Outcome {
	case modify.Unfinished:
		return fmt.Errorf("%w (the driver may still be at it, so no other class is tried before it says that it is not)", err)
	case modify.Infeasible:
		return fmt.Errorf("%w (the driver calls the class invalid for the volume, so it is tried again in %s only, or when the claim names another class)", err, c.config.InfeasibleRetry)
	default: // Final: it is tried again soon
		return err
	}
}

// failureOf says what an error of the driver means; false when it is none: the
// driver was not called.
func failureOf(err error) (modify.Failure, bool) {
	code, message, ok := csi.Answer(err)
	failure := modify.Failure{Outcome: modify.Final, Code: code, Message: message}
	switch csi.Classify(err) {
	case csi.Pending, csi.Exhausted:
		failure.Outcome = modify.Unfinished
	case csi.Infeasible:
		failure.Outcome = modify.Infeasible
	default: // the call is over
	}
	return failure, ok
}

// postpone writes that the class can't be used, and waits for another.
func (c *Controller) postpone(ctx context.Context, claim *corev1.PersistentVolumeClaim, d modify.Decision) (controller.Result, error) {
	claim, err := c.writeClaim(ctx, claim, d.Claim)
	if err != nil {
		return c.notStored(d.Claim, err)
	}
	c.report(claim, d.Err)
	return controller.Result{WaitFor: []controller.Dependency{controller.AttributesClassChanged(modify.Target(claim))}}, controller.Terminal(d.Err)
}

// cancel writes that nothing is asked for any more.
func (c *Controller) cancel(ctx context.Context, claim *corev1.PersistentVolumeClaim, d modify.Decision) (controller.Result, error) {
	claim, err := c.writeClaim(ctx, claim, d.Claim)
	if err != nil {
		return c.notStored(d.Claim, err)
	}
	c.deps.Events.Normal(claim, names.ReasonVolumeModifyCanceled, fmt.Sprintf(
		"Canceled the modification of volume %q: the claim no longer asks for it", claim.Spec.VolumeName))
	return controller.Result{}, nil
}

// recordClaim writes what becomes of the claim after the driver has answered.
func (c *Controller) recordClaim(ctx context.Context, in modify.Input, become func(modify.Input) *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error) {
	return kube.OnNewer(in.Claim, func(claim *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error) {
		in.Claim = claim
		return c.writeClaim(ctx, claim, become(in))
	}, func() (*corev1.PersistentVolumeClaim, error) {
		return c.deps.ClaimStatus.Get(ctx, in.Claim.Namespace, in.Claim.Name)
	})
}

// recordVolume writes the class into the volume, under the same rules.
func (c *Controller) recordVolume(ctx context.Context, in modify.Input, plan *modify.Plan) (*corev1.PersistentVolume, error) {
	return kube.OnNewer(in.Volume, func(volume *corev1.PersistentVolume) (*corev1.PersistentVolume, error) {
		in.Volume = volume
		return c.deps.VolumeWriter.Patch(ctx, volume, modify.Conclude(in, plan).Volume)
	}, func() (*corev1.PersistentVolume, error) {
		return c.deps.VolumeWriter.Get(ctx, in.Volume.Name)
	})
}

// writeClaim writes a claim's status and returns the claim as it is stored then.
func (c *Controller) writeClaim(ctx context.Context, from, to *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error) {
	if equality.Semantic.DeepEqual(from, to) {
		return from, nil
	}
	stored, err := c.deps.ClaimStatus.Patch(ctx, from, to)
	if err != nil {
		return nil, fmt.Errorf("writing the claim's status: %w", err)
	}
	if stored != from {
		c.written.Remember(stored)
	}
	return stored, nil
}

// notStored reports that a write has failed, unless somebody else has changed
// the object meanwhile, or it is gone: then the next reconciliation sees it as it
// is.
func (c *Controller) notStored(claim *corev1.PersistentVolumeClaim, err error) (controller.Result, error) {
	if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		c.report(claim, err)
	}
	return controller.Result{}, err
}

// credentialsUse is what the Secret is for.
const credentialsUse = "ControllerModifyVolume"
