package provision

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// AttributesDiffer tells whether a VolumeAttributesClass that changes from old to now
// asks for something else. That kube-controller-manager protects it, for example, must
// not end the pause after an infeasible request. Old is nil for one that appears.
func AttributesDiffer(old, now *storagev1.VolumeAttributesClass) bool {
	return old == nil || old.UID != now.UID || old.DriverName != now.DriverName || !maps.Equal(old.Parameters, now.Parameters)
}

func attributesDependencies(claim *corev1.PersistentVolumeClaim) []controller.Dependency {
	if name := provision.AttributesClassName(claim); name != "" {
		return []controller.Dependency{controller.AttributesClassChanged(name)}
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
