package provision

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// AttributesChanged is woken when the VolumeAttributesClass of that name appears,
// changes or goes.
func AttributesChanged(name string) controller.Dependency {
	return controller.Dependency{Kind: "VolumeAttributesClass", Name: name}
}

func attributesDependencies(claim *corev1.PersistentVolumeClaim) []controller.Dependency {
	if name := provision.AttributesClassName(claim); name != "" {
		return []controller.Dependency{AttributesChanged(name)}
	}
	return nil
}

// attributes returns the VolumeAttributesClass that a claim names; nil when there is
// none.
func (c *Controller) attributes(claim *corev1.PersistentVolumeClaim) (*storagev1.VolumeAttributesClass, error) {
	name := provision.AttributesClassName(claim)
	if c.deps.Attributes == nil || name == "" {
		return nil, nil
	}
	class, err := c.deps.Attributes.Get(name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading VolumeAttributesClass %q: %w", name, err)
	}
	return class, nil
}
