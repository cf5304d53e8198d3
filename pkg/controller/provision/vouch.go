package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// lookTimeout bounds a request about a record.
const lookTimeout = 10 * time.Second

// ClaimOf looks at the API server what has become of the claim of a record, if the cache
// shows one.
func (c *Controller) ClaimOf(ctx context.Context, intent *journal.Intent) (journal.ClaimState, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if shown, err := intent.Claim.Find(c.deps.Claims); err != nil || shown == nil {
		return journal.ClaimGone, err
	}
	claim, err := c.deps.ClaimStore.Get(ctx, intent.Claim.Namespace, intent.Claim.Name)
	switch {
	case apierrors.IsNotFound(err), err == nil && claim.UID != intent.Claim.UID:
		return journal.ClaimGone, nil
	case err != nil:
		return journal.ClaimGone, err
	}
	_, err = c.deps.Store.Get(ctx, intent.Plans[0].Volume.Name)
	switch {
	case apierrors.IsNotFound(err):
		return journal.ClaimWaits, nil
	case err != nil:
		return journal.ClaimGone, err
	}
	return journal.ClaimStored, nil
}

// Vouch tells whether the claim and its class lead to what a record says: the volume's
// name, the Secrets, the parameters, the capabilities, the PersistentVolume. If so, the
// intent has the plan as it is derived from them, and nothing that can't be derived: not
// the handle of a volume that is to be deleted, nor the places where the volume may be.
func (c *Controller) Vouch(ctx context.Context, intent *journal.Intent) error {
	claim, err := intent.Claim.Find(c.deps.Claims)
	if err != nil {
		return err
	}
	if claim == nil {
		return errors.New("its claim does not exist")
	}
	input, err := c.gather(ctx, claim)
	if err != nil {
		return err
	}
	derived, err := provision.Derive(input)
	if err != nil {
		return fmt.Errorf("claim %s: %w", intent.Claim, err)
	}
	for _, recorded := range intent.Plans {
		if !derived.Confirms(recorded) {
			return fmt.Errorf("claim %s and its class ask for another volume than the record", intent.Claim)
		}
		intent.Partial = intent.Partial || !derived.Repeats(recorded)
	}
	intent.Plans, intent.Useless = []*provision.Plan{derived}, ""
	return nil
}
