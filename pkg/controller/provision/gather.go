package provision

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// gather collects what the planner needs to know. Everything comes from caches, but
// for data sources.
func (c *Controller) gather(ctx context.Context, claim *corev1.PersistentVolumeClaim) (provision.Input, error) {
	input := provision.Input{Claim: claim, Driver: c.config.Driver, Options: c.config.Options, Node: c.config.Node}
	var err error
	if input.Class, err = c.class(provision.ClassName(claim)); err != nil {
		return provision.Input{}, err
	}
	if input.Class != nil {
		class, err := c.deps.InTree.Class(ctx, input.Class)
		if input.ClassErr = err; err == nil {
			input.Class = class
		}
	}
	if input.Attributes, err = c.attributes(claim); err != nil {
		return provision.Input{}, err
	}
	if err = c.lookForVolume(claim, &input); err != nil {
		return provision.Input{}, err
	}
	if input.UsesTopology() {
		input.Facts = c.deps.Places.Facts(input.Where())
	}
	input.Source = c.gatherSource(ctx, input)
	return input, nil
}

func (c *Controller) class(name string) (*storagev1.StorageClass, error) {
	class, err := c.deps.Classes.Get(name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading StorageClass %q: %w", name, err)
	}
	return class, nil
}

// lookForVolume looks for a PersistentVolume of the claim's volume name.
func (c *Controller) lookForVolume(claim *corev1.PersistentVolumeClaim, input *provision.Input) error {
	name := provision.VolumeName(c.config.Options, claim)
	volume, err := c.deps.Volumes.Get(name)
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return fmt.Errorf("reading PersistentVolume %q: %w", name, err)
	default:
		if input.Taken = takenFrom(claim, volume); input.Taken == nil {
			input.VolumeStored = true
		}
	}
	return nil
}

// takenFrom returns an error when the volume of the claim's name is another claim's.
func takenFrom(claim *corev1.PersistentVolumeClaim, volume *corev1.PersistentVolume) error {
	if ref := volume.Spec.ClaimRef; ref != nil && ref.UID != "" && ref.UID != claim.UID {
		return &kube.TakenError{Volume: volume}
	}
	return nil
}
