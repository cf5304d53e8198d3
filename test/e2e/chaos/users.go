package chaos

import (
	"context"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/load"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

// users do what the claims of a plan say.
type users struct {
	*lane
	plan Plan
	// unbound ends when users no longer want to change claims that are not bound: these
	// are for the check to find.
	unbound context.Context //nolint:containedctx // ends what users want, not a call
	giveUp  context.CancelFunc

	mu    sync.Mutex
	asked int
	errs  []error
}

func newUsers(ctx context.Context, l *lane, plan Plan) *users {
	u := &users{lane: l, plan: plan}
	u.unbound, u.giveUp = context.WithCancel(ctx)
	return u
}

// claimsOf are those of the namespace that a claim is in. The round's own namespace is
// for those that are to be deleted with it.
func (u *users) claimsOf(c Claim) load.Claims {
	if c.Apart && u.plan.NamespaceDeleted != Never {
		return u.cluster.Claims(u.apart())
	}
	return u.cluster.Claims(u.id)
}

// apart is the round's own namespace.
func (u *users) apart() string { return u.id + "-r" + strconv.Itoa(u.plan.Round) }

// note keeps an error.
func (u *users) note(err error) {
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.errs = append(u.errs, err)
	}
}

// each does something for all claims at once, and returns when it is done.
func (u *users) each(do func(Claim) error) {
	var group sync.WaitGroup
	for _, claim := range u.plan.Claims {
		group.Go(func() { u.note(do(claim)) })
	}
	group.Wait()
}

// ask creates a claim.
func (u *users) ask(ctx context.Context, c Claim) error {
	claim := load.NewClaim(c.Name, u.name(string(c.Class)))
	if u.plan.Ambush != Never {
		// All volumes are to be made at one time.
		claim = load.Annotated(claim, u.driver.Name)
	}
	created, err := u.claimsOf(c).Create(ctx, claim)
	if created {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.asked++
	}
	return err
}

// live has a claim live through its moments. The ones that have passed are not
// made up for: a claim that is deleted first is not expanded.
func (u *users) live(ctx context.Context, begin time.Time, c Claim) error {
	claims := u.claimsOf(c)
	var group sync.WaitGroup
	for _, change := range []struct {
		at time.Duration
		do func() error
	}{
		{c.Expanded, func() error { return claims.Expand(u.unbound, c.Name, load.Large) }},
		{c.Modified, func() error { return claims.Modify(u.unbound, c.Name, u.name(c.Attributes)) }},
	} {
		if change.at != Never {
			group.Go(func() {
				if !wait.Sleep(ctx, time.Until(begin.Add(change.at))) {
					return
				}
				if err := change.do(); u.unbound.Err() == nil {
					u.note(err)
				}
			})
		}
	}
	defer group.Wait()
	if c.Deleted == Never || !wait.Sleep(ctx, time.Until(begin.Add(c.Deleted))) {
		return nil
	}
	return u.remove(ctx, c)
}

// remove deletes a claim, and asks for another one of its name if the plan says so.
func (u *users) remove(ctx context.Context, c Claim) error {
	claims := u.claimsOf(c)
	if err := claims.Delete(ctx, c.Name); err != nil || !c.Again {
		return err
	}
	if err := claims.WaitGone(ctx, c.Name); err != nil {
		return err
	}
	return u.ask(ctx, c)
}

// bound waits until the claims are bound; no longer than that is reasonable, for
// the losses are to be found at rest.
func (u *users) bound(ctx context.Context) {
	deadline := time.Now().Add(quiet)
	for time.Now().Before(deadline) && wait.Sleep(ctx, retryEvery) {
		seen, err := u.observe(ctx)
		if err == nil && !hasUnbound(seen.Claims) {
			return
		}
	}
}

func hasUnbound(claims []corev1.PersistentVolumeClaim) bool {
	for _, claim := range claims {
		if claim.Status.Phase != corev1.ClaimBound {
			return true
		}
	}
	return false
}
