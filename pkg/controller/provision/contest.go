package provision

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// Contest says how the nodes compete for a claim that belongs to none of them: each
// waits for a while that is random, and takes the claim if nobody else has done so.
type Contest struct {
	// BaseDelay is the longest time that a node waits first, and MaxDelay that which
	// it waits when it did not get, or could not take, the claim several times.
	BaseDelay, MaxDelay time.Duration
	// Random returns numbers in [0, 1).
	Random func() float64
}

// delay returns the time to wait after so many failures: the base delay, doubled
// with each of them, at most the longest one, less a random part of the base delay.
func (c Contest) delay(failures int) time.Duration {
	delay := c.BaseDelay
	for ; failures > 0 && delay < c.MaxDelay; failures-- {
		delay *= 2
	}
	return min(delay, c.MaxDelay) - time.Duration(c.Random()*float64(c.BaseDelay))
}

// turn is when it is this node's turn to take a claim.
type turn struct {
	failures int
	// due is zero for a turn that has no time yet.
	due time.Time
}

// untilTurn returns the time until it is this node's turn; not positive when it is.
func (w *walk) untilTurn() time.Duration {
	now := w.deps.Clock.Now()
	if w.turn == nil {
		w.turn = &turn{}
	}
	if w.turn.due.IsZero() {
		w.turn.due = now.Add(w.config.Contest.delay(w.turn.failures))
	}
	return w.turn.due.Sub(now)
}

// compete waits for this node's turn to take a claim, without a worker, and takes
// it. When another node takes it, the claim changes, and is decided on again. Losing
// is no failure, and nothing that a user need know of.
func (w *walk) compete(ctx context.Context, room provision.Room) (controller.Result, error) {
	if left := w.untilTurn(); left > 0 {
		return w.standBy(left), nil
	}
	logger := klog.FromContext(ctx)
	if !w.hasRoom(ctx, room) {
		logger.V(2).Info("Leaving the claim to other nodes: the driver has no room for it here", "bytes", room.Bytes)
		return w.passTurn(), nil
	}
	// The driver may have taken its time.
	current, err := w.key.Find(w.deps.Claims)
	if err != nil || current == nil || provision.SelectedNode(current) != "" {
		return controller.Result{}, err
	}
	err = w.deps.ClaimStore.Select(ctx, current, w.config.Node.Name)
	switch {
	case err == nil:
		logger.V(2).Info("Selected this node for the claim", "node", w.config.Node.Name)
		w.turn = nil
		return controller.Result{}, nil
	case apierrors.IsNotFound(err):
		return controller.Result{}, nil
	case apierrors.IsConflict(err):
		logger.V(2).Info("The claim has changed meanwhile: another node may have taken it")
		return w.passTurn(), nil
	}
	return w.passTurn(), controller.Terminal(err)
}

// pass leaves the claim to others for a longer time, which begins when this node's turn
// is next asked for.
func (w *walk) pass() {
	failures := 1
	if w.turn != nil {
		failures += w.turn.failures
	}
	w.turn = &turn{failures: failures}
}

// passTurn does so, and waits for the next turn.
func (w *walk) passTurn() controller.Result {
	w.pass()
	return w.standBy(max(w.untilTurn(), 1))
}

func (w *walk) standBy(wait time.Duration) controller.Result {
	return controller.Result{
		RequeueAfter: wait,
		WaitFor:      []controller.Dependency{controller.ClassChanged(provision.ClassName(w.now))},
	}
}

// hasRoom asks the driver. One that can't tell is given the claim: it says what is
// wrong when it is asked for the volume.
func (c *Controller) hasRoom(ctx context.Context, room provision.Room) bool {
	if room.Request == nil {
		return true
	}
	answer, err := c.deps.Capacity.GetCapacity(ctx, room.Request)
	if err != nil {
		klog.FromContext(ctx).V(2).Info("Taking the claim without knowing whether there is room for it", "err", csi.Plain(err))
		return true
	}
	return room.Suffices(answer)
}
