package expand

import (
	"context"
	"errors"
	"fmt"
	"strings"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/expand"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// apply does what the planner says.
func (c *Controller) apply(ctx context.Context, in expand.Input, d expand.Decision) (controller.Result, error) {
	switch d.Verdict {
	case expand.Skip:
	case expand.Pause:
		return controller.Result{RequeueAfter: c.pause(in.Claim, in.Now.Time)}, nil
	case expand.Unannotate:
		volume, err := c.patchVolume(ctx, in.Volume, d.Volume)
		if err != nil {
			return controller.Result{}, err
		}
		return c.goOn(ctx, in, d, volume)
	case expand.Backfill:
		volume, err := c.patchVolume(ctx, in.Volume, d.Volume)
		if err != nil {
			return c.failed(in, fmt.Errorf("setting the controller-expand secret that StorageClass %q names: %w", in.Volume.Spec.StorageClassName, err))
		}
		return c.goOn(ctx, in, d, volume)
	case expand.Reject:
		return c.failed(in, d.Err)
	case expand.Act:
		return c.act(ctx, in, d)
	}
	if expand.Awaits(in) {
		return controller.Result{WaitFor: []controller.Dependency{controller.VolumeChanged(in.Claim.Spec.VolumeName)}}, nil
	}
	return controller.Result{}, nil
}

// goOn decides anew after what the last decision wanted written to the volume
// first. A write that the API server, or a webhook of it, does not keep is an
// error rather than tried indefinitely.
func (c *Controller) goOn(ctx context.Context, in expand.Input, last expand.Decision, volume *corev1.PersistentVolume) (controller.Result, error) {
	in.Volume = volume
	next := expand.Decide(in)
	if next.Verdict == last.Verdict {
		return c.failed(in, fmt.Errorf("PersistentVolume %q is not as it was written: does a webhook undo the write?", volume.Name))
	}
	return c.apply(ctx, in, next)
}

// act makes one attempt to expand the volume.
func (c *Controller) act(ctx context.Context, in expand.Input, d expand.Decision) (controller.Result, error) {
	if result, err := c.gate(ctx, in); err != nil {
		return result, err
	}
	credentials, err := kube.ReadCredentials(ctx, c.deps.Secrets, d.Plan.Secret, credentialsUse)
	if err != nil {
		return c.failed(in, err)
	}
	if in.Claim, err = c.patchClaim(ctx, in.Claim, d.Plan.Claim); err != nil {
		return controller.Result{}, err
	}
	if d.Plan.Begins {
		c.deps.Events.Normal(in.Claim, names.ReasonResizing, fmt.Sprintf("Expanding volume %s to %s", in.Volume.Name, d.Plan.Target.String()))
	}
	if d.Warning != "" {
		c.deps.Events.Warning(in.Claim, names.ReasonVolumeResizeFailed, d.Warning)
	}
	answer, err := c.call(ctx, in, d.Plan, credentials)
	if errors.Is(err, csi.ErrWithdrawn) {
		klog.FromContext(ctx).Info("Not expanding the volume, as something has changed: deciding again", "reason", err)
		return controller.Result{Again: true}, nil
	}
	c.inUse.clear(in.Claim.UID)
	if err != nil {
		return c.notExpanded(ctx, in, d.Plan, err)
	}
	return c.conclude(ctx, in, d.Plan, answer)
}

// gate keeps volumes from the driver that it has called in use, for as long as
// pods use them.
func (c *Controller) gate(ctx context.Context, in expand.Input) (controller.Result, error) {
	if !c.config.HandleVolumeInUseError || !c.inUse.marked(in.Claim.UID) {
		return controller.Result{}, nil
	}
	// First, so that no pod ends unseen between the look and the wait.
	c.deps.Pods.Follow(ctx, in.Claim.Namespace)
	pods, err := c.deps.Pods.Using(ctx, in.Claim)
	if err != nil || len(pods) == 0 {
		return controller.Result{}, err
	}
	return c.waiting(in, fmt.Errorf("CSI driver %q can't expand volume %q while it is in use: it is tried again as soon as no pod uses the claim; now %s", c.config.Driver, in.Volume.Name, some(pods)))
}

// maxNamed bounds the number of pods that a message names.
const maxNamed = 5

func some(pods []string) string {
	if len(pods) == 1 {
		return "pod " + pods[0] + " does"
	}
	if len(pods) > maxNamed {
		return fmt.Sprintf("%d pods do", len(pods))
	}
	return "pods " + strings.Join(pods, ", ") + " do"
}

// call asks the driver to expand the volume; where there is nothing to ask, all is
// left to the node. What was decided is checked when the call's turn has come.
func (c *Controller) call(ctx context.Context, in expand.Input, plan *expand.Plan, credentials secrets.Credentials) (expand.Answer, error) {
	if plan.Request == nil {
		return expand.Answer{NodeExpansionRequired: true}, nil
	}
	response, err := c.deps.Driver.ControllerExpandVolume(ctx, &csipb.ControllerExpandVolumeRequest{
		VolumeId:         plan.Request.GetVolumeId(),
		CapacityRange:    plan.Request.GetCapacityRange(),
		VolumeCapability: plan.Request.GetVolumeCapability(),
		Secrets:          credentials.Reveal(),
	}, csi.IfStill(func() error { return c.still(ctx, in, plan) }))
	if err != nil && plan.Secret != nil && !errors.Is(err, csi.ErrWithdrawn) {
		c.deps.Secrets.Forget(*plan.Secret)
	}
	return expand.Answer{
		CapacityBytes:         response.GetCapacityBytes(),
		NodeExpansionRequired: response.GetNodeExpansionRequired(),
	}, err
}

// still returns an error when a plan is no longer right, as the caches are now.
func (c *Controller) still(ctx context.Context, in expand.Input, plan *expand.Plan) error {
	claim, err := c.claim(KeyOf(in.Claim))
	if err != nil {
		return err
	}
	if claim == nil {
		return fmt.Errorf("claim %s/%s has gone", in.Claim.Namespace, in.Claim.Name)
	}
	now, err := c.gather(ctx, claim)
	if err != nil {
		return err
	}
	if now.Volume != nil && now.Volume.UID != in.Volume.UID {
		return fmt.Errorf("PersistentVolume %q has been replaced", in.Volume.Name)
	}
	return plan.Still(now)
}

// conclude writes down what the driver has answered: first the volume, then the
// claim.
func (c *Controller) conclude(ctx context.Context, in expand.Input, plan *expand.Plan, answer expand.Answer) (controller.Result, error) {
	conclusion := expand.Conclude(in, plan, answer)
	if conclusion.Err != nil {
		if err := c.record(ctx, in, func(in expand.Input) *corev1.PersistentVolumeClaim {
			return expand.Conclude(in, plan, answer).Claim
		}); err != nil {
			return controller.Result{}, err
		}
		return c.failed(in, conclusion.Err)
	}
	volume, err := c.patchVolume(ctx, in.Volume, conclusion.Volume)
	if err != nil {
		return c.failed(in, fmt.Errorf("writing down the new size: %w", err))
	}
	in.Volume = volume
	if err := c.record(ctx, in, func(in expand.Input) *corev1.PersistentVolumeClaim {
		return expand.Conclude(in, plan, answer).Claim
	}); err != nil {
		return controller.Result{}, err
	}
	c.deps.Events.Normal(in.Claim, conclusion.Reason, conclusion.Message)
	return controller.Result{}, nil
}

// notExpanded writes down what the driver's error says.
func (c *Controller) notExpanded(ctx context.Context, in expand.Input, plan *expand.Plan, err error) (controller.Result, error) {
	failure := failureOf(err)
	explained := fmt.Errorf("expanding volume %q to %s at CSI driver %q: %w", in.Volume.Name, plan.Target.String(), c.config.Driver, csi.Plain(err))
	writeErr := c.record(ctx, in, func(in expand.Input) *corev1.PersistentVolumeClaim {
		return expand.Failed(in, plan, failure, explained)
	})
	switch {
	case writeErr != nil:
		c.report(in.Claim, explained)
		return controller.Result{}, writeErr
	case csi.InUse(err):
		c.inUse.mark(in.Claim.UID)
		if result, err := c.gate(ctx, in); err != nil {
			return result, err
		}
		// No pod uses it, but it may still be attached.
		result, err := c.failed(in, explained)
		result.WaitFor = append(result.WaitFor, PodEnded(in.Claim.Namespace), controller.Detached(in.Volume.Name))
		return result, err
	case failure == expand.Infeasible:
		return c.infeasible(in, explained)
	}
	return c.failed(in, explained)
}

// failureOf tells what an error of ControllerExpandVolume means.
func failureOf(err error) expand.Failure {
	switch csi.ClassifyExpansion(err) {
	case csi.Pending:
		return expand.Pending
	case csi.Infeasible:
		return expand.Infeasible
	default:
		return expand.Final
	}
}

// credentialsUse is what the Secret is for.
const credentialsUse = "ControllerExpandVolume (the volume's spec.csi.controllerExpandSecretRef)"
