package provision

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// gather collects what the planner needs to know. Everything comes from caches, but
// for data sources.
func (c *Controller) gather(ctx context.Context, claim *corev1.PersistentVolumeClaim) (provision.Input, error) {
	input := provision.Input{Claim: claim, Driver: c.config.Driver, Options: c.config.Options}
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
	if input.VolumeStored, err = c.isStored(provision.VolumeName(c.config.Options, claim)); err != nil {
		return provision.Input{}, err
	}
	if input.UsesTopology() {
		input.Facts = c.deps.Places.Facts(provision.SelectedNode(claim))
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

func (c *Controller) isStored(volume string) (bool, error) {
	_, err := c.deps.Volumes.Get(volume)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading PersistentVolume %q: %w", volume, err)
	}
	return true, nil
}
