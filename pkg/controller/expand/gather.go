package expand

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/expand"
)

// claim returns the claim of a key as it was last written or shown, or nil when it
// is gone.
func (c *Controller) claim(key Key) (*corev1.PersistentVolumeClaim, error) {
	claim, err := key.Find(c.deps.Claims)
	if err != nil || claim == nil {
		return nil, err
	}
	return c.claims.Newest(claim), nil
}

// gather collects what the planner needs to know. Everything comes from caches.
func (c *Controller) gather(ctx context.Context, claim *corev1.PersistentVolumeClaim) (expand.Input, error) {
	now := c.deps.Clock.Now()
	input := expand.Input{
		Claim:        claim,
		Driver:       c.config.Driver,
		Capabilities: c.config.Capabilities,
		Options:      c.config.Options,
		Rested:       c.pause(claim, now) <= 0,
		Now:          metav1.NewTime(now),
	}
	if claim.Spec.VolumeName == "" {
		return input, nil
	}
	volume, err := c.deps.Volumes.Get(claim.Spec.VolumeName)
	if apierrors.IsNotFound(err) {
		return input, nil
	}
	if err != nil {
		return expand.Input{}, fmt.Errorf("reading PersistentVolume %q: %w", claim.Spec.VolumeName, err)
	}
	if input.Volume, err = c.deps.InTree.AsCSI(ctx, c.volumes.Newest(volume)); err != nil {
		return expand.Input{}, err
	}
	input.Class, err = c.class(volume.Spec.StorageClassName)
	return input, err
}

func (c *Controller) class(name string) (*storagev1.StorageClass, error) {
	if c.deps.Classes == nil || name == "" {
		return nil, nil
	}
	class, err := c.deps.Classes.Get(name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading StorageClass %q: %w", name, err)
	}
	return class, nil
}

// migrated tells whether the claim's volume is stored as an in-tree plugin's.
func (c *Controller) migrated(claim *corev1.PersistentVolumeClaim) bool {
	volume, err := c.deps.Volumes.Get(claim.Spec.VolumeName)
	return err == nil && c.deps.InTree.PluginOf(volume) != ""
}

// pause returns how long the claim must rest yet after an infeasible answer.
func (c *Controller) pause(claim *corev1.PersistentVolumeClaim, now time.Time) time.Duration {
	since, ok := expand.PauseSince(claim)
	if !ok {
		c.pauses.Forget(string(claim.UID))
		return 0
	}
	return c.pauses.Left(string(claim.UID), since.Time, now)
}
