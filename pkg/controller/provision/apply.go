package provision

import (
	"context"
	"errors"
	"fmt"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// pursue takes an attempt as far as it gets for a claim that wants it.
func (c *Controller) pursue(ctx context.Context, current *attempt) (controller.Result, error) {
	switch {
	case current.useless != "":
		if err := c.remove(ctx, current); err != nil {
			return c.failed(current.claim, err)
		}
		// From here on it is as if nothing had been begun.
		return c.decide(ctx, current.claim, nil)
	case current.made != nil:
		return c.store(ctx, current)
	}
	started := c.deps.Clock.Now()
	response, err := c.create(ctx, current)
	if err != nil {
		return c.notCreated(ctx, current, err)
	}
	conclusion := provision.Conclude(current.plan, response)
	switch {
	case conclusion.Volume != nil:
		current.made, current.ambiguous = conclusion.Volume, false
		current.started = started
		return c.store(ctx, current)
	case conclusion.Discard != "":
		return c.discard(ctx, current, conclusion.Discard, conclusion.Err)
	}
	current.ambiguous = true
	return c.failed(current.claim, conclusion.Err)
}

// create calls the driver. The attempt begins when the call does. One that only
// is to be undone does not need its Secret, which may have gone with the claim's
// namespace.
func (c *Controller) create(ctx context.Context, current *attempt) (*csipb.CreateVolumeResponse, error) {
	credentials, err := c.credentials(ctx, current.plan.Secret)
	current.blind = current.undone && denied(err)
	if err != nil && !current.blind {
		return nil, &notAskedError{err}
	}
	if err := c.protect(ctx, current); err != nil {
		return nil, &notAskedError{err}
	}
	if err := c.begin(ctx, current); err != nil {
		return nil, &notAskedError{err}
	}
	c.announce(current.claim, fmt.Sprintf("Creating volume %q at CSI driver %q", current.plan.Request.GetName(), c.config.Driver.Name))
	response, err := c.deps.Driver.CreateVolume(csi.ForMigrated(ctx, current.plan.Migrated()), withSecrets(current.plan.Request, credentials))
	if err != nil && current.plan.Secret != nil {
		c.deps.Secrets.Forget(*current.plan.Secret)
	}
	return response, err
}

// denied tells whether the Secret is not to be had: it has gone, or the right to
// read it has.
func denied(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsForbidden(err) }

// notAskedError says why the driver has not been called.
type notAskedError struct{ cause error }

func (e *notAskedError) Error() string { return e.cause.Error() }
func (e *notAskedError) Unwrap() error { return e.cause }

// withSecrets returns a copy that shares everything but the secrets, which the
// attempt must not hold.
func withSecrets(r *csipb.CreateVolumeRequest, credentials secrets.Credentials) *csipb.CreateVolumeRequest {
	return &csipb.CreateVolumeRequest{
		Name:                      r.GetName(),
		CapacityRange:             r.GetCapacityRange(),
		VolumeCapabilities:        r.GetVolumeCapabilities(),
		Parameters:                r.GetParameters(),
		Secrets:                   credentials.Reveal(),
		VolumeContentSource:       r.GetVolumeContentSource(),
		AccessibilityRequirements: r.GetAccessibilityRequirements(),
		MutableParameters:         r.GetMutableParameters(),
	}
}

func (c *Controller) credentials(ctx context.Context, ref *secrets.Ref) (secrets.Credentials, error) {
	if ref == nil {
		return secrets.Credentials{}, nil
	}
	credentials, err := c.deps.Secrets.Get(ctx, *ref)
	if err != nil {
		return secrets.Credentials{}, fmt.Errorf("getting the secret for CreateVolume and DeleteVolume: %w", err)
	}
	return credentials, nil
}

// notCreated ends the attempt or keeps it, as the error says.
func (c *Controller) notCreated(ctx context.Context, current *attempt, err error) (controller.Result, error) {
	var notAsked *notAskedError
	if errors.As(err, &notAsked) {
		return c.failed(current.claim, err)
	}
	if errors.Is(err, csi.ErrStopping) {
		// Nobody has to mend that.
		return controller.Result{}, err
	}
	explained := fmt.Errorf("creating volume %q at CSI driver %q: %w", current.plan.Request.GetName(), c.config.Driver.Name, csi.Plain(err))
	outcome, elsewhere := csi.Classify(err), current.plan.Reschedule
	switch {
	case csi.AlreadyExists(err) && current.fallBack():
		// A request that was replaced has made a volume after all.
		current.ambiguous = false
	case csi.AlreadyExists(err) && current.partial:
		// The request is not the one that has made it.
		current.ambiguous = true
	case outcome == csi.Pending:
		current.ambiguous = false
		if csi.Unreachable(err) {
			explained = fmt.Errorf("%w (waiting for the driver to come back)", explained)
		}
	case outcome == csi.Ambiguous, current.fallBack():
		// That this request has made no volume says nothing about those that it
		// has replaced.
		current.ambiguous = true
	default:
		c.end(current.claim.UID)
	}
	switch {
	case outcome == csi.Infeasible:
		return c.infeasible(current.claim, explained)
	case outcome == csi.Exhausted && elsewhere:
		return c.reschedule(ctx, current.claim, explained)
	}
	return c.failed(current.claim, explained)
}

// store stores the PersistentVolume of a volume that the driver has made.
func (c *Controller) store(ctx context.Context, current *attempt) (controller.Result, error) {
	err := c.deps.Store.Store(ctx, current.made)
	var taken *kube.TakenError
	switch {
	case err == nil:
		c.succeeded(current)
		return controller.Result{}, nil
	case errors.As(err, &taken) && kube.SameVolume(taken.Volume, current.made):
		// The driver has returned a volume that is somebody else's.
		c.end(current.claim.UID)
		return c.failed(current.claim, fmt.Errorf("%w: their volumes have the same name: is --volume-name-uuid-length too short?", err))
	case errors.Is(err, kube.ErrRefused) && (current.sent || current.inherited) && retains(current.made):
		// It may have been stored before, and been deleted to keep the volume.
		return c.failed(current.claim, err)
	case errors.As(err, &taken), errors.Is(err, kube.ErrRefused):
		return c.discard(ctx, current, current.made.Spec.CSI.VolumeHandle, err)
	}
	current.sent = true
	return c.failed(current.claim, err)
}

func (c *Controller) succeeded(current *attempt) {
	c.end(current.claim.UID)
	c.attempts.noteStored(current.claim.UID)
	c.deps.Metrics.Provisioned(provision.ClassName(current.claim), provision.SourceKind(current.claim), c.deps.Clock.Since(current.started))
	c.deps.Events.Normal(current.claim, reasonSucceeded, fmt.Sprintf("Successfully provisioned volume %s", current.made.Name))
}

// discard deletes a volume that is of no use, and reports why it is.
func (c *Controller) discard(ctx context.Context, current *attempt, handle string, why error) (controller.Result, error) {
	current.made, current.ambiguous = nil, false
	current.useless = handle
	if err := c.remove(ctx, current); err != nil {
		why = fmt.Errorf("%w; %w", why, err)
	}
	return c.failed(current.claim, why)
}

// remove deletes the attempt's useless volume at the driver. That this is done is
// recorded first: who comes after a crash must not ask for the volume again while
// the driver may still be deleting it.
func (c *Controller) remove(ctx context.Context, current *attempt) error {
	credentials, err := c.credentials(ctx, current.plan.Secret)
	if err != nil && !denied(err) {
		return err
	}
	if err := c.begin(ctx, current); err != nil {
		return err
	}
	err = c.deps.Driver.DeleteVolume(csi.ForMigrated(ctx, current.plan.Migrated()), &csipb.DeleteVolumeRequest{VolumeId: current.useless, Secrets: credentials.Reveal()})
	if err != nil && !csi.NotFound(err) {
		return fmt.Errorf("deleting the useless volume %q at CSI driver %q: %w", current.useless, c.config.Driver.Name, csi.Plain(err))
	}
	c.end(current.claim.UID)
	return nil
}

// abandon finishes an attempt whose claim no longer wants the volume.
func (c *Controller) abandon(ctx context.Context, current *attempt) (controller.Result, error) {
	logger := klog.FromContext(ctx).WithValues("volume", current.plan.Volume.Name)
	current.undone = true
	c.deps.Journal.Undoing(current.claim.UID)
	switch {
	case current.made != nil:
		// It may be stored, so it must be: then it is released, and deleted as
		// its policy says.
		return c.store(ctx, current)
	case current.useless == "":
		logger.Info("Finishing the creation of a volume whose claim has gone")
		response, err := c.create(ctx, current)
		if err != nil {
			return c.notAbandoned(ctx, current, err)
		}
		conclusion := provision.Conclude(current.plan, response)
		if current.inherited && conclusion.Volume != nil && retains(conclusion.Volume) {
			return c.keep(ctx, current, conclusion.Volume)
		}
		current.useless = response.GetVolume().GetVolumeId()
		if current.useless == "" {
			return controller.Result{}, conclusion.Err
		}
	}
	if err := c.remove(ctx, current); err != nil {
		return controller.Result{}, err
	}
	logger.Info("Deleted a volume whose claim has gone", "handle", current.useless)
	return controller.Result{}, nil
}

// notAbandoned ends the attempt when the driver says that there is no volume.
func (c *Controller) notAbandoned(ctx context.Context, current *attempt, err error) (controller.Result, error) {
	var notAsked *notAskedError
	if !errors.As(err, &notAsked) && !current.blind && !(current.partial && csi.AlreadyExists(err)) {
		switch csi.Classify(err) {
		case csi.Final, csi.Infeasible, csi.Exhausted:
			if current.fallBack() {
				return c.abandon(ctx, current)
			}
			c.end(current.claim.UID)
			return controller.Result{}, nil
		default: // there may be one
		}
	}
	return controller.Result{WaitFor: []controller.Dependency{DriverBack()}},
		fmt.Errorf("finishing the creation of volume %q, whose claim has gone: %w", current.plan.Request.GetName(), err)
}

// reschedule asks the scheduler for another node.
func (c *Controller) reschedule(ctx context.Context, claim *corev1.PersistentVolumeClaim, why error) (controller.Result, error) {
	if err := c.deps.ClaimStore.Reschedule(ctx, claim); err != nil {
		return c.failed(claim, errors.Join(why, err))
	}
	if c.config.Node != nil {
		// The others first: they may have what this node lacks.
		c.turns.pass(claim.UID)
	}
	c.report(claim, fmt.Errorf("%w: another node is asked for", why))
	return controller.Result{}, nil
}
