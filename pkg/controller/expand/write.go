package expand

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/expand"
)

// maxConflicts is the number of times that a write of the driver's answer is
// tried on a newer claim before the driver is asked once more instead.
const maxConflicts = 5

// record writes what becomes of the claim after the driver has answered. When
// the claim has changed meanwhile, it is read and the answer written into what it
// is now, rather than lost.
func (c *Controller) record(ctx context.Context, in expand.Input, become func(expand.Input) *corev1.PersistentVolumeClaim) error {
	for conflicts := 0; ; conflicts++ {
		_, err := c.patchClaim(ctx, in.Claim, become(in))
		if !apierrors.IsConflict(err) || conflicts == maxConflicts {
			return err
		}
		current, getErr := c.deps.Status.Get(ctx, in.Claim.Namespace, in.Claim.Name)
		if getErr != nil {
			return getErr
		}
		if current.UID != in.Claim.UID {
			return err
		}
		in.Claim = current
	}
}

func (c *Controller) patchClaim(ctx context.Context, from, to *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error) {
	written, err := c.deps.Status.Patch(ctx, from, to)
	if err != nil {
		return from, err
	}
	if written != from {
		c.claims.Remember(written)
	}
	return written, nil
}

// patchVolume writes what differs between from and to into the volume as it is
// stored, which for a migrated one is in its in-tree form. What others have changed
// meanwhile does not matter to it, so a conflict only needs another try.
func (c *Controller) patchVolume(ctx context.Context, from, to *corev1.PersistentVolume) (*corev1.PersistentVolume, error) {
	stored, err := c.deps.Volumes.Get(from.Name)
	if err != nil {
		return from, err
	}
	stored = c.volumes.Newest(stored)
	for conflicts := 0; ; conflicts++ {
		if stored.UID != from.UID {
			return from, fmt.Errorf("PersistentVolume %q has been replaced", from.Name)
		}
		written, err := c.deps.Store.Patch(ctx, stored, rebased(from, to, stored))
		switch {
		case err == nil && written == stored:
			// Somebody else has written the same.
			return c.deps.InTree.AsCSI(ctx, stored)
		case err == nil:
			c.volumes.Remember(written)
			return c.deps.InTree.AsCSI(ctx, written)
		case !apierrors.IsConflict(err) || conflicts == maxConflicts:
			return from, err
		}
		if stored, err = c.deps.Store.Get(ctx, from.Name); err != nil {
			return from, err
		}
		// It is newer than what the informer shows, by which the next decision would
		// go otherwise.
		c.volumes.Remember(stored)
	}
}

// rebased returns current with what an expansion changes between from and to.
func rebased(from, to, current *corev1.PersistentVolume) *corev1.PersistentVolume {
	next := current.DeepCopy()
	next.Spec.Capacity = to.Spec.Capacity
	if next.Spec.CSI != nil && to.Spec.CSI != nil {
		next.Spec.CSI.ControllerExpandSecretRef = to.Spec.CSI.ControllerExpandSecretRef
	}
	for key := range from.Annotations {
		if _, kept := to.Annotations[key]; !kept {
			delete(next.Annotations, key)
		}
	}
	for key, value := range to.Annotations {
		if before, had := from.Annotations[key]; !had || before != value {
			if next.Annotations == nil {
				next.Annotations = map[string]string{}
			}
			next.Annotations[key] = value
		}
	}
	return next
}
