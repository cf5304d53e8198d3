package expand

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/expand"
)

// record writes what becomes of the claim after the driver has answered.
func (c *Controller) record(ctx context.Context, in expand.Input, become func(expand.Input) *corev1.PersistentVolumeClaim) error {
	_, err := kube.OnNewer(in.Claim, func(claim *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error) {
		in.Claim = claim
		return c.patchClaim(ctx, claim, become(in))
	}, func() (*corev1.PersistentVolumeClaim, error) {
		return c.deps.Status.Get(ctx, in.Claim.Namespace, in.Claim.Name)
	})
	return err
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
	if stored = c.volumes.Newest(stored); stored.UID != from.UID {
		return from, fmt.Errorf("PersistentVolume %q has been replaced", from.Name)
	}
	written, err := kube.OnNewer(stored, func(current *corev1.PersistentVolume) (*corev1.PersistentVolume, error) {
		written, err := c.deps.Store.Patch(ctx, current, rebased(from, to, current))
		if err == nil && written != current {
			c.volumes.Remember(written)
		}
		return written, err
	}, func() (*corev1.PersistentVolume, error) {
		current, err := c.deps.Store.Get(ctx, from.Name)
		if err == nil {
			// It is newer than what the informer shows, by which the next decision
			// would go otherwise.
			c.volumes.Remember(current)
		}
		return current, err
	})
	if err != nil {
		return from, err
	}
	return c.deps.InTree.AsCSI(ctx, written)
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
