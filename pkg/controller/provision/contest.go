package provision

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
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

// turns are when it is this node's turn to take a claim.
type turns struct {
	contest Contest

	mu sync.Mutex
	of map[types.UID]*turn
}

type turn struct {
	failures int
	// due is zero for a turn that has no time yet.
	due time.Time
}

func newTurns(contest Contest) *turns { return &turns{contest: contest, of: map[types.UID]*turn{}} }

// left returns the time until it is this node's turn; not positive when it is.
func (t *turns) left(uid types.UID, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := t.of[uid]
	if next == nil {
		next = &turn{}
		t.of[uid] = next
	}
	if next.due.IsZero() {
		next.due = now.Add(t.contest.delay(next.failures))
	}
	return next.due.Sub(now)
}

// pass leaves the claim to others for a longer time, which begins when it is next
// asked for.
func (t *turns) pass(uid types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	failures := 1
	if last := t.of[uid]; last != nil {
		failures += last.failures
	}
	t.of[uid] = &turn{failures: failures}
}

// forget ends the contest for a claim.
func (t *turns) forget(uid types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, uid)
}

// compete waits for this node's turn to take a claim, without a worker, and takes
// it. When another node takes it, the claim changes, and is decided on again. Losing
// is no failure, and nothing that a user need know of.
func (c *Controller) compete(ctx context.Context, claim *corev1.PersistentVolumeClaim, room provision.Room) (controller.Result, error) {
	if left := c.turns.left(claim.UID, c.deps.Clock.Now()); left > 0 {
		return c.standBy(claim, left), nil
	}
	logger := klog.FromContext(ctx)
	if !c.hasRoom(ctx, room) {
		logger.V(2).Info("Leaving the claim to other nodes: the driver has no room for it here", "bytes", room.Bytes)
		return c.pass(claim), nil
	}
	// The driver may have taken its time.
	current, err := KeyOf(claim).Find(c.deps.Claims)
	if err != nil || current == nil || provision.SelectedNode(current) != "" {
		return controller.Result{}, err
	}
	err = c.deps.ClaimStore.Select(ctx, current, c.config.Node.Name)
	switch {
	case err == nil:
		logger.V(2).Info("Selected this node for the claim", "node", c.config.Node.Name)
		c.turns.forget(claim.UID)
		return controller.Result{}, nil
	case apierrors.IsNotFound(err):
		return controller.Result{}, nil
	case apierrors.IsConflict(err):
		logger.V(2).Info("The claim has changed meanwhile: another node may have taken it")
		return c.pass(claim), nil
	}
	return c.pass(claim), controller.Terminal(err)
}

// pass leaves the claim to others for a longer time.
func (c *Controller) pass(claim *corev1.PersistentVolumeClaim) controller.Result {
	c.turns.pass(claim.UID)
	return c.standBy(claim, max(c.turns.left(claim.UID, c.deps.Clock.Now()), 1))
}

func (c *Controller) standBy(claim *corev1.PersistentVolumeClaim, wait time.Duration) controller.Result {
	return controller.Result{
		RequeueAfter: wait,
		WaitFor:      []controller.Dependency{ClassChanged(provision.ClassName(claim))},
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
