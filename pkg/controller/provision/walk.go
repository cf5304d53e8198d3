package provision

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/attempt"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// walk is one reconciliation of a claim. Step by step, it looks at the claim, asks the
// state machine what to do next (plan/attempt), and does it. As each step may take long,
// the claim is looked at again before the next one.
type walk struct {
	*Controller
	*record
	key Key
	// now is the claim as the cache shows it; nil when it is gone.
	now *corev1.PersistentVolumeClaim
	// planned is what the planner says, of the claim and class as they were.
	planned *planned
	// err is what has gone wrong, to be reported.
	err error
}

// planned is a decision of the planner, with what it was made of.
type planned struct {
	claim *corev1.PersistentVolumeClaim
	class *storagev1.StorageClass
	provision.Decision
	// stored tells that the cache shows the claim's PersistentVolume.
	stored bool
}

// maxSteps is far beyond the number of steps that any attempt takes.
const maxSteps = 100

func (w *walk) run(ctx context.Context) (controller.Result, error) {
	for range maxSteps {
		facts, err := w.look(ctx)
		if err != nil {
			return controller.Result{}, err
		}
		step := attempt.Next(w.state, facts)
		switch step.Do {
		case attempt.Wait:
			return w.wait(ctx)
		case attempt.Report:
			w.observe(attempt.Event{What: attempt.Reported})
			return w.report(ctx, facts.Want, step.News)
		default:
			event := w.carryOut(ctx, facts, step)
			klog.FromContext(ctx).V(5).Info("Took a step", "phase", w.state.Phase, "step", step.Do, "event", event.What)
			w.observe(event)
		}
	}
	return controller.Result{}, fmt.Errorf("claim %s has not come to rest after %d steps: phase %s", w.key, maxSteps, w.state.Phase)
}

// carryOut does what the step says, and returns what came of it.
func (w *walk) carryOut(ctx context.Context, facts attempt.Claim, step attempt.Step) attempt.Event {
	switch step.Do {
	case attempt.Look:
		return w.lookUp(ctx)
	case attempt.Record:
		return w.recordIntent(ctx, facts, step)
	case attempt.Create:
		return w.create(ctx, facts)
	case attempt.Store:
		return w.store(ctx)
	case attempt.Remove:
		return w.remove(ctx, step)
	case attempt.End:
		return w.end(ctx, step)
	default:
		return w.undone(fmt.Errorf("there is no step %s", step.Do))
	}
}

func (w *walk) observe(event attempt.Event) { w.state = attempt.Observe(w.state, event) }

// undone notes why a step could not be carried out.
func (w *walk) undone(err error) attempt.Event {
	w.fail(err)
	return attempt.Event{What: attempt.Undone}
}

// fail notes what has gone wrong.
func (w *walk) fail(err error) {
	if w.err != nil {
		err = fmt.Errorf("%w; %w", w.err, err)
	}
	w.err = err
}

// quietError is one that is no news to the claim's user.
type quietError struct{ error }

func (e quietError) Unwrap() error { return e.error }

func isQuiet(err error) bool {
	var quiet quietError
	return errors.As(err, &quiet)
}

// look gathers what the next step depends on, from caches but for data sources.
func (w *walk) look(ctx context.Context) (facts attempt.Claim, err error) {
	if w.now, err = w.key.Find(w.deps.Claims); err != nil {
		return attempt.Claim{}, err
	}
	if w.now != nil {
		w.claim = w.now
	}
	if facts.Want, err = w.want(ctx); err != nil {
		return attempt.Claim{}, err
	}
	if facts.Want != attempt.Wanted || !w.state.Phase.Plans() {
		return facts, nil
	}
	if err := w.plan(ctx); err != nil {
		return attempt.Claim{}, err
	}
	if w.planned.Verdict == provision.Act {
		facts.Plan = w.planned.Plan
	}
	return facts, nil
}

// want tells what the claim is to its attempt.
func (w *walk) want(ctx context.Context) (attempt.Want, error) {
	open := w.state.Phase.Open()
	switch {
	case w.now == nil, open && w.leaves():
		return attempt.Left, nil
	case !open:
		return attempt.Wanted, nil
	}
	may, err := w.mayUseSource(ctx)
	if err != nil || may {
		return attempt.Wanted, err
	}
	return attempt.Revoked, nil
}

// leaves tells whether the claim no longer wants the volume of its attempt.
func (w *walk) leaves() bool {
	volume := w.state.Plans.Current().Volume.Name
	return w.now.DeletionTimestamp != nil || w.config.Node.OtherNode(w.now) ||
		w.now.Spec.VolumeName != "" && w.now.Spec.VolumeName != volume
}

// mayUseSource tells whether the claim may, by now, use the data source that its volume
// is made from.
func (w *walk) mayUseSource(ctx context.Context) (bool, error) {
	from := w.state.Plans.Current().Source
	if from == nil || from.Namespace == w.now.Namespace {
		return true, nil
	}
	grants, err := w.deps.Sources.Grants(from.Namespace)
	if err != nil {
		return false, fmt.Errorf("reading the ReferenceGrants of namespace %q: %w", from.Namespace, err)
	}
	if err := provision.MayUse(w.config.Options, w.now, grants); err != nil {
		klog.FromContext(ctx).Info("The claim may no longer use its data source: its volume is going to be deleted", "source", from.String(), "err", err)
		return false, nil
	}
	return true, nil
}

// plan asks the planner, unless nothing has changed since it was asked last.
func (w *walk) plan(ctx context.Context) error {
	if w.planned != nil && !w.isOutdated() {
		return nil
	}
	class, err := w.class(provision.ClassName(w.now))
	if err != nil {
		return err
	}
	input, err := w.gather(ctx, w.now)
	if err != nil {
		return err
	}
	w.planned = &planned{claim: w.now, class: class, Decision: provision.Decide(input), stored: input.VolumeStored}
	return nil
}

// isOutdated tells whether the claim or its class has changed since the planner was
// asked, if it was. Objects of the caches are never changed, but replaced.
func (w *walk) isOutdated() bool {
	if w.planned == nil {
		return false
	}
	if w.planned.claim != w.now {
		return true
	}
	class, err := w.class(provision.ClassName(w.now))
	return err != nil || class != w.planned.class
}
