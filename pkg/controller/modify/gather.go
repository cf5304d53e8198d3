package modify

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/modify"
)

// claim returns the claim of a key as it is known best, or nil when it is gone.
func (c *Controller) claim(key Key) (*corev1.PersistentVolumeClaim, error) {
	claim, err := key.Find(c.deps.Claims)
	if err != nil || claim == nil {
		return nil, err
	}
	return c.written.Newest(claim), nil
}

// gather collects what the planner needs to know. Everything comes from caches.
func (c *Controller) gather(claim *corev1.PersistentVolumeClaim) (modify.Input, error) {
	now := metav1.NewTime(c.deps.Clock.Now())
	input := modify.Input{
		Claim:        claim,
		Driver:       c.config.Driver,
		Capabilities: c.config.Capabilities,
		Options:      c.config.Options,
		Rested:       c.rest(claim, now) <= 0,
		Now:          now,
	}
	var err error
	if input.Volume, err = c.volume(claim.Spec.VolumeName); err != nil {
		return modify.Input{}, err
	}
	if input.Class, err = c.class(modify.Target(claim)); err != nil {
		return modify.Input{}, err
	}
	return input, nil
}

// refreshed returns the input with the claim and the volume as others have
// written them while the driver was at work.
func (c *Controller) refreshed(input modify.Input) (modify.Input, error) {
	claim, err := c.claim(KeyOf(input.Claim))
	if err != nil {
		return modify.Input{}, err
	}
	volume, err := c.volume(input.Volume.Name)
	if err != nil {
		return modify.Input{}, err
	}
	if claim != nil {
		input.Claim = claim
	}
	if volume != nil && volume.UID == input.Volume.UID {
		input.Volume = volume
	}
	input.Now = metav1.NewTime(c.deps.Clock.Now())
	return input, nil
}

// rest returns what is left of the pause after the driver has refused the
// claim's class.
func (c *Controller) rest(claim *corev1.PersistentVolumeClaim, now metav1.Time) time.Duration {
	since, ok := modify.PauseSince(claim)
	if !ok {
		c.pauses.Forget(string(claim.UID))
		return 0
	}
	return c.pauses.Left(string(claim.UID), since.Time, now.Time)
}

func (c *Controller) volume(name string) (*corev1.PersistentVolume, error) {
	volume, err := c.deps.Volumes.Get(name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading PersistentVolume %q: %w", name, err)
	}
	return volume, nil
}

func (c *Controller) class(name string) (*storagev1.VolumeAttributesClass, error) {
	class, err := c.deps.Classes.Get(name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading VolumeAttributesClass %q: %w", name, err)
	}
	return class, nil
}
