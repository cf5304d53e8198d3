package provision

import (
	"context"
	"errors"
	"fmt"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/attempt"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// lookUp looks at the API server whether the PersistentVolume is stored: this process,
// or another one, may have done that, and the caches need not show it yet.
func (w *walk) lookUp(ctx context.Context) attempt.Event {
	if w.state.Phase == attempt.Inherited {
		return w.lookUpInherited(ctx)
	}
	claim, err := w.deps.ClaimStore.Get(ctx, w.now.Namespace, w.now.Name)
	switch {
	case apierrors.IsNotFound(err):
		return attempt.Event{What: attempt.Unwanted}
	case err != nil:
		return w.undone(quietError{err})
	case claim.UID != w.now.UID, claim.DeletionTimestamp != nil, claim.Spec.VolumeName != "":
		return attempt.Event{What: attempt.Unwanted}
	}
	volume, err := w.deps.Store.Get(ctx, provision.VolumeName(w.config.Options, claim))
	switch {
	case apierrors.IsNotFound(err):
		return attempt.Event{What: attempt.Absent}
	case err != nil:
		return w.undone(quietError{err})
	}
	if err := takenFrom(claim, volume); err != nil {
		return w.undone(err)
	}
	return attempt.Event{What: attempt.Found}
}

// lookUpInherited looks how far the process got that has begun the attempt.
func (w *walk) lookUpInherited(ctx context.Context) attempt.Event {
	name := w.state.Plans.Current().Volume.Name
	volume, err := w.deps.Store.Get(ctx, name)
	switch {
	case err != nil && !apierrors.IsNotFound(err):
		return w.undone(quietError{err})
	case err == nil && (volume.Spec.CSI == nil || volume.Spec.CSI.Driver == w.config.Driver.Name):
		// The volume is not lost, whichever claim has it by now: it may have been given
		// to another one.
		return attempt.Event{What: attempt.Found}
	}
	klog.FromContext(ctx).Info("Finishing the creation of a volume that another process has begun", "volume", name)
	return attempt.Event{What: attempt.Absent}
}

// intent is what the journal keeps of the attempt.
func (w *walk) intent(plans attempt.Plans, handle string) *journal.Intent {
	return &journal.Intent{Claim: w.key, Plans: plans.All(), Useless: handle, Forgotten: plans.Inexact}
}

// recordIntent makes durable what is going to be done. What is missing for it is found
// out first, as a record that nothing follows has to be ended again.
func (w *walk) recordIntent(ctx context.Context, facts attempt.Claim, step attempt.Step) attempt.Event {
	if step.Handle == "" {
		if _, _, err := w.prepare(ctx, facts, step.Plans.Current()); err != nil {
			return w.undone(err)
		}
	}
	if err := w.deps.Journal.Begin(ctx, w.intent(step.Plans, step.Handle)); err != nil {
		w.fail(err)
		return attempt.Event{What: attempt.Unwritten, Handle: step.Handle}
	}
	return attempt.Event{What: attempt.Written, Plans: step.Plans, Handle: step.Handle}
}

// prepare reads the Secret of a request, and protects its data source. A volume that is
// only to be removed again does not need its Secret, which may have gone with the
// claim's namespace; blind tells that it is to be asked for without.
func (w *walk) prepare(ctx context.Context, facts attempt.Claim, plan *provision.Plan) (credentials secrets.Credentials, blind bool, err error) {
	credentials, err = kube.ReadCredentials(ctx, w.deps.Secrets, plan.Secret, credentialsUse)
	blind = facts.Want != attempt.Wanted && denied(err)
	if err != nil && !blind {
		return credentials, blind, err
	}
	return credentials, blind, w.protect(ctx, w.key.UID, plan.Source, w.state.Phase.Open())
}

// create calls the driver. The record is there already, but may have been lost if the
// journal was off for some time.
func (w *walk) create(ctx context.Context, facts attempt.Claim) attempt.Event {
	plan := w.state.Plans.Current()
	credentials, blind, err := w.prepare(ctx, facts, plan)
	if err != nil {
		return w.undone(err)
	}
	if err := w.deps.Journal.Begin(ctx, w.intent(w.state.Plans, "")); err != nil {
		return w.undone(err)
	}
	if facts.Want == attempt.Wanted {
		w.announce(fmt.Sprintf("Creating volume %q at CSI driver %q", plan.Request.GetName(), w.config.Driver.Name))
	} else {
		w.deps.Journal.Undoing(w.key.UID)
		klog.FromContext(ctx).Info("Finishing the creation of a volume that its claim does not want", "volume", plan.Volume.Name)
	}
	began := w.deps.Clock.Now()
	response, err := w.deps.Driver.CreateVolume(csi.ForMigrated(ctx, plan.Migrated()),
		provision.WithSecrets(plan.Request, credentials.Reveal()), csi.IfStill(w.still(ctx, facts)))
	switch {
	case errors.Is(err, csi.ErrWithdrawn):
		return attempt.Event{What: attempt.Withdrawn}
	case errors.Is(err, csi.ErrStopping):
		return w.undone(quietError{err})
	case err != nil:
		return w.notCreated(plan, err, blind)
	}
	w.started = began
	return w.conclude(plan, response)
}

// still tells whether the step is still right, when the driver has time for the call. It
// looks at caches only; what has changed is planned when the call's place is free again.
func (w *walk) still(ctx context.Context, facts attempt.Claim) func() error {
	return func() (err error) {
		if w.now, err = w.key.Find(w.deps.Claims); err != nil {
			return err
		}
		want, err := w.want(ctx)
		if err != nil {
			return err
		}
		if want != facts.Want || w.isOutdated() {
			return fmt.Errorf("claim %s or its class has changed", w.key)
		}
		return nil
	}
}

func (w *walk) notCreated(plan *provision.Plan, err error, blind bool) attempt.Event {
	if plan.Secret != nil {
		w.deps.Secrets.Forget(*plan.Secret)
	}
	explained := fmt.Errorf("creating volume %q at CSI driver %q: %w", plan.Request.GetName(), w.config.Driver.Name, csi.Plain(err))
	if csi.Unreachable(err) {
		explained = fmt.Errorf("%w (waiting for the driver to reconnect)", explained)
	}
	w.fail(explained)
	return attempt.Event{What: attempt.Failed, Answer: csi.CreateAnswer(err), Blind: blind}
}

// conclude looks at the driver's volume.
func (w *walk) conclude(plan *provision.Plan, response *csipb.CreateVolumeResponse) attempt.Event {
	conclusion := provision.Conclude(plan, response)
	switch {
	case conclusion.Volume != nil:
		w.volume = conclusion.Volume
		return attempt.Event{What: attempt.Created, Handle: conclusion.Volume.Spec.CSI.VolumeHandle}
	case conclusion.Discard != "":
		w.fail(conclusion.Err)
		return attempt.Event{What: attempt.Unfit, Handle: conclusion.Discard}
	}
	w.fail(conclusion.Err)
	return attempt.Event{What: attempt.Failed, Answer: attempt.Internal}
}

// leaveAlone tells whether nothing may be done with the volume, and what has happened then:
// a PersistentVolume carries it, other than the one of that name, or that is not known. The
// cache tells of those that this process did not store. What a record says may be much
// older than the cache, or forged, so that it has to be certain.
func (w *walk) leaveAlone(ctx context.Context, except string) (event attempt.Event, leave bool) {
	var holder string
	var err error
	if w.state.Past == attempt.Earlier {
		holder, err = w.deps.Handles.HolderNow(ctx, w.state.Handle, except)
	} else {
		holder, err = w.deps.Handles.Holder(w.state.Handle, except)
	}
	switch {
	case err != nil:
		return w.undone(quietError{err}), true
	case holder == "":
		return attempt.Event{}, false
	}
	klog.FromContext(ctx).Info("Leaving a volume alone that a PersistentVolume carries", "handle", w.state.Handle, "persistentVolume", holder)
	w.fail(fmt.Errorf("volume %q of CSI driver %q is left alone: PersistentVolume %q carries it", w.state.Handle, w.config.Driver.Name, holder))
	return attempt.Event{What: attempt.VolumeTaken}, true
}

// store stores the PersistentVolume of a volume that the driver has made.
func (w *walk) store(ctx context.Context) attempt.Event {
	if event, leave := w.leaveAlone(ctx, w.volume.Name); leave {
		return event
	}
	err := w.deps.Store.Store(ctx, w.volume)
	if err == nil {
		return attempt.Event{What: attempt.Kept}
	}
	var taken *kube.TakenError
	switch {
	case errors.As(err, &taken) && kube.SameVolume(taken.Volume, w.volume):
		// The driver has returned a volume that is somebody else's.
		w.fail(fmt.Errorf("%w: their volumes have the same name: is --volume-name-uuid-length too short?", err))
		return attempt.Event{What: attempt.VolumeTaken}
	case errors.As(err, &taken):
		w.fail(err)
		return attempt.Event{What: attempt.NameTaken}
	case errors.Is(err, kube.ErrRefused):
		w.fail(err)
		return attempt.Event{What: attempt.Rejected}
	}
	w.fail(err)
	return attempt.Event{What: attempt.Unclear}
}

// remove deletes a volume that can't be used, or that nobody wants.
func (w *walk) remove(ctx context.Context, step attempt.Step) attempt.Event {
	if event, leave := w.leaveAlone(ctx, ""); leave {
		return event
	}
	plan := w.state.Plans.Current()
	credentials, err := kube.ReadCredentials(ctx, w.deps.Secrets, plan.Secret, credentialsUse)
	if err != nil && !denied(err) {
		return w.undone(err)
	}
	err = w.deps.Driver.DeleteVolume(csi.ForMigrated(ctx, plan.Migrated()), &csipb.DeleteVolumeRequest{VolumeId: step.Handle, Secrets: credentials.Reveal()})
	if err != nil && !csi.NotFound(err) {
		return w.undone(fmt.Errorf("deleting the useless volume %q at CSI driver %q: %w", step.Handle, w.config.Driver.Name, csi.Plain(err)))
	}
	klog.FromContext(ctx).Info("Deleted a volume that has no PersistentVolume", "volume", plan.Volume.Name, "handle", step.Handle)
	return attempt.Event{What: attempt.Removed}
}

// end lets the record go, with all that the attempt holds.
func (w *walk) end(ctx context.Context, step attempt.Step) attempt.Event {
	w.deps.Journal.End(w.key.UID)
	if step.Durable {
		if err := w.deps.Journal.Settle(ctx, w.key.UID); err != nil {
			return w.undone(fmt.Errorf("removing the record of volume %q: %w", w.state.Handle, err))
		}
	}
	w.release(w.key.UID)
	w.planned = nil // What comes next is decided on the world as it is now.
	return attempt.Event{What: attempt.Ended}
}

// denied tells whether the Secret is not to be had: it has gone, or the right to
// read it has.
func denied(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsForbidden(err) }

// credentialsUse is what the Secret is for.
const credentialsUse = "CreateVolume and DeleteVolume"
