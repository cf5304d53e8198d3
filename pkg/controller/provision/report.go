package provision

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/attempt"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// wait does what the planner says about a claim for which it has no plan.
func (w *walk) wait(ctx context.Context) (controller.Result, error) {
	if w.now == nil || w.planned == nil {
		return controller.Result{}, nil
	}
	switch w.planned.Verdict {
	case provision.Skip, provision.Act:
		if w.planned.stored {
			return w.untilVolumeGoes(), nil
		}
	case provision.Await:
		return controller.Result{WaitFor: w.dependencies(w.now)}, nil
	case provision.Compete:
		return w.compete(ctx, w.planned.Room)
	case provision.Leave:
		w.announce(w.planned.Message)
	case provision.Reject:
		return w.failed(w.now, w.planned.Err)
	case provision.Reschedule:
		return w.reschedule(ctx, w.planned.Err)
	}
	return controller.Result{}, nil
}

// untilVolumeGoes waits until the claim changes, or its PersistentVolume goes before the
// claim is bound to it.
func (w *walk) untilVolumeGoes() controller.Result {
	return controller.Result{WaitFor: []controller.Dependency{VolumeGone(provision.VolumeName(w.config.Options, w.claim))}}
}

// report tells what has come of the attempt.
func (w *walk) report(ctx context.Context, want attempt.Want, news attempt.News) (controller.Result, error) {
	switch {
	case news == attempt.Succeeded:
		w.succeeded()
		return w.untilVolumeGoes(), nil
	case news == attempt.Paused:
		return w.untilVolumeGoes(), nil
	case isQuiet(w.err):
		// Nobody has to fix that.
		return controller.Result{}, w.err
	case want == attempt.Left:
		return w.reportLeft(news)
	case news == attempt.Infeasible:
		return w.infeasible(w.claim, w.err)
	case news == attempt.Elsewhere:
		return w.reschedule(ctx, w.err)
	}
	return w.failed(w.claim, w.err)
}

// reportLeft has an attempt go on whose claim no longer wants the volume. The claim's
// user is not told.
func (w *walk) reportLeft(news attempt.News) (controller.Result, error) {
	if news != attempt.Blocked {
		return controller.Result{}, nil
	}
	return controller.Result{WaitFor: []controller.Dependency{controller.DriverReconnected()}},
		fmt.Errorf("finishing the creation of volume %q, whose claim has gone: %w", w.state.Plans.Current().Request.GetName(), w.err)
}

func (w *walk) succeeded() {
	w.deps.Metrics.Provisioned(provision.ClassName(w.claim), provision.SourceKind(w.claim), w.deps.Clock.Since(w.started))
	w.deps.Events.Normal(w.claim, reasonSucceeded, fmt.Sprintf("Successfully provisioned volume %s", w.volume.Name))
	w.volume, w.announced = nil, false
}

// reschedule asks the scheduler for another node.
func (w *walk) reschedule(ctx context.Context, why error) (controller.Result, error) {
	if err := w.deps.ClaimStore.Reschedule(ctx, w.claim); err != nil {
		return w.failed(w.claim, errors.Join(why, err))
	}
	if w.config.Node != nil {
		// The others first: they may have what this node lacks.
		w.pass()
	}
	w.tell(w.claim, fmt.Errorf("%w: another node is asked for", why))
	return controller.Result{}, nil
}

// failed reports an error on the claim; it is retried after a back-off, or when
// what it may depend on changes.
func (c *Controller) failed(claim *corev1.PersistentVolumeClaim, err error) (controller.Result, error) {
	if !errors.Is(err, csi.ErrStopping) {
		c.tell(claim, err)
	}
	return controller.Result{WaitFor: c.dependencies(claim)}, err
}

// infeasible reports that the driver calls the request invalid. Trying again
// soon is of no use; a change of the claim, or of what it names, may be.
func (c *Controller) infeasible(claim *corev1.PersistentVolumeClaim, err error) (controller.Result, error) {
	c.tell(claim, fmt.Errorf("%w: the driver calls the request invalid, so it is tried again in %s only, or when the claim or one of its classes changes", err, c.config.InfeasibleRetry))
	return controller.Result{RequeueAfter: c.config.InfeasibleRetry, WaitFor: c.dependencies(claim)}, controller.Terminal(err)
}

func (c *Controller) tell(claim *corev1.PersistentVolumeClaim, err error) {
	c.deps.Metrics.ProvisionFailed(provision.ClassName(claim), provision.SourceKind(claim))
	c.deps.Events.Warning(claim, names.ReasonProvisioningFailed, err.Error())
}

// announce tells once, on the claim, what goes on.
func (w *walk) announce(message string) {
	if w.announced {
		return
	}
	w.announced = true
	w.deps.Events.Normal(w.claim, names.ReasonProvisioning, message)
}
