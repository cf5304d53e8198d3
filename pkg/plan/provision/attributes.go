package provision

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// AttributesClassName returns the VolumeAttributesClass that a claim names; empty
// for none.
func AttributesClassName(claim *corev1.PersistentVolumeClaim) string {
	if name := claim.Spec.VolumeAttributesClassName; name != nil {
		return *name
	}
	return ""
}

// attributes returns the parameters of the claim's VolumeAttributesClass (KEP-3751);
// nil without one.
func attributes(in Input) (map[string]string, error) {
	name := AttributesClassName(in.Claim)
	if name == "" {
		return nil, nil
	}
	switch {
	case !in.Options.VolumeAttributesClass:
		// kube-controller-manager binds the claim to no volume without the name.
		return nil, fmt.Errorf("the claim names the VolumeAttributesClass %.253q, and this sidecar makes volumes without one only: the feature gate VolumeAttributesClass is off, or the API server has none in storage.k8s.io/v1: turn it on, or create the claim without spec.volumeAttributesClassName", name)
	case !in.Driver.Capabilities.Modify:
		return nil, fmt.Errorf("the claim names the VolumeAttributesClass %.253q, which CSI driver %q can't heed, as it does not report the controller capability MODIFY_VOLUME: create the claim without spec.volumeAttributesClassName", name, in.Driver.Name)
	case in.Class.Provisioner != in.Driver.Name:
		// The API server refuses the PersistentVolume.
		return nil, fmt.Errorf("the claim names the VolumeAttributesClass %.253q, which volumes of the in-tree plugin %s can't have: create the claim without spec.volumeAttributesClassName, or with a class of CSI driver %q", name, in.Class.Provisioner, in.Driver.Name)
	case in.Attributes == nil:
		return nil, fmt.Errorf("VolumeAttributesClass %.253q does not exist: create it, or create the claim with another spec.volumeAttributesClassName", name)
	case in.Attributes.DriverName != in.Driver.Name:
		return nil, fmt.Errorf("VolumeAttributesClass %q is for CSI driver %q, and StorageClass %q for %q: name a VolumeAttributesClass of that driver in spec.volumeAttributesClassName", name, in.Attributes.DriverName, in.Class.Name, in.Driver.Name)
	}
	return in.Attributes.Parameters, nil
}

// attributesClassOf returns what the PersistentVolume says of the attributes that it
// is made with.
func attributesClassOf(in Input) *string {
	if name := AttributesClassName(in.Claim); name != "" {
		return &name
	}
	return nil
}
