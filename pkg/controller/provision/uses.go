package provision

import (
	"context"
	"errors"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

// uses are the data sources that volumes under way are made from, by the claims of
// these volumes. They last as long as the attempts, and begin before them.
type uses struct {
	mu sync.Mutex
	of map[types.UID]map[source.Key]struct{}
	by map[source.Key]map[types.UID]struct{}
	// confirmed are the sources in use that this process has seen protected.
	confirmed map[source.Key]types.UID
}

func newUses() *uses {
	return &uses{
		of:        map[types.UID]map[source.Key]struct{}{},
		by:        map[source.Key]map[types.UID]struct{}{},
		confirmed: map[source.Key]types.UID{},
	}
}

// hold notes that a claim's volume is made from a source. It tells whether that is
// known to be protected.
func (u *uses) hold(claim types.UID, from source.Object) (confirmed bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of[claim] == nil {
		u.of[claim] = map[source.Key]struct{}{}
	}
	if u.by[from.Key] == nil {
		u.by[from.Key] = map[types.UID]struct{}{}
	}
	u.of[claim][from.Key] = struct{}{}
	u.by[from.Key][claim] = struct{}{}
	return u.confirmed[from.Key] == from.UID && from.UID != ""
}

func (u *uses) confirm(from source.Object) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.confirmed[from.Key] = from.UID
}

// release ends the uses of a claim, and returns its sources.
func (u *uses) release(claim types.UID) []source.Key {
	u.mu.Lock()
	defer u.mu.Unlock()
	var released []source.Key
	for key := range u.of[claim] {
		released = append(released, key)
		delete(u.by[key], claim)
		if len(u.by[key]) == 0 {
			delete(u.by, key)
			delete(u.confirmed, key)
		}
	}
	delete(u.of, claim)
	return released
}

func (u *uses) isUsed(key source.Key) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.by[key]) > 0
}

// protect keeps the source of a claim's volume from being deleted until the attempt has
// ended. What was begun goes on without that, where it is too late: the driver says
// whether it still has the data.
func (c *Controller) protect(ctx context.Context, claim types.UID, from *source.Object, begun bool) error {
	if from == nil {
		return nil
	}
	unlock, err := c.deps.SourceLocks.Lock(ctx, from.String())
	if err != nil {
		return err
	}
	defer unlock()
	if c.uses.hold(claim, *from) {
		return nil
	}
	err = c.deps.Sources.Protect(ctx, *from)
	switch {
	case err == nil:
		c.uses.confirm(*from)
		return nil
	case from.Kind == source.KindSnapshot && apierrors.IsForbidden(err):
		// The role of external-provisioner need not have that right.
		klog.FromContext(ctx).Info("Restoring a snapshot that may be deleted meanwhile: the right to update VolumeSnapshots is missing", "snapshot", from.String(), "err", err)
		return nil
	case begun && (errors.Is(err, kube.ErrGone) || errors.Is(err, kube.ErrDeleting) || apierrors.IsForbidden(err)):
		return nil
	}
	return err
}

// inUse notes the sources of an attempt that another process has begun.
func (c *Controller) inUse(claim types.UID, plans []*provision.Plan) {
	for _, plan := range plans {
		if plan.Source != nil {
			c.uses.hold(claim, *plan.Source)
		}
	}
}

// release ends the uses of a claim, whose attempt has ended or never begun.
func (c *Controller) release(claim types.UID) {
	for _, key := range c.uses.release(claim) {
		c.deps.Released(key)
	}
}

// InUse tells whether a volume may still be under way that is made from a source.
func (c *Controller) InUse(key source.Key) bool { return c.uses.isUsed(key) }
