package kube

import (
	"fmt"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
)

// HasAttributesClasses tells whether the API server has VolumeAttributesClasses in
// storage.k8s.io/v1, as Kubernetes has since 1.34.
func HasAttributesClasses(client discovery.DiscoveryInterface) (bool, error) {
	resources, err := client.ServerResourcesForGroupVersion(storagev1.SchemeGroupVersion.String())
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking the API server whether it has VolumeAttributesClasses: %w", err)
	}
	for _, resource := range resources.APIResources {
		if resource.Kind == "VolumeAttributesClass" {
			return true, nil
		}
	}
	return false, nil
}
