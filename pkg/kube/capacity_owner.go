package kube

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ownerTimeout bounds the look-up of an owner.
const ownerTimeout = 30 * time.Second

// Owner returns a reference to a pod, or to what controls it, that many levels
// up: 0 is the pod, 1 its StatefulSet, DaemonSet or ReplicaSet, 2 the Deployment of
// the ReplicaSet, and so on. It is a reference of a controller. To read the pod
// takes the right to get pods, and each level between it and the owner that of its
// kind.
func Owner(ctx context.Context, clients *Clients, namespace, pod string, level int) (*metav1.OwnerReference, error) {
	ctx, cancel := context.WithTimeout(ctx, ownerTimeout)
	defer cancel()
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: pod}
	for below := range max(level, 1) {
		read, err := clients.read(ctx, namespace, owner)
		if err != nil {
			return nil, fmt.Errorf("reading %s %s/%s, to find the owner of CSIStorageCapacity objects (--capacity-ownerref-level=%d): %w", owner.Kind, namespace, owner.Name, level, err)
		}
		if level == 0 {
			owner.UID = read.UID
			break
		}
		controller := metav1.GetControllerOf(read)
		if controller == nil {
			return nil, fmt.Errorf("%s %s/%s has no controller: --capacity-ownerref-level=%d must be at most %d here", owner.Kind, namespace, owner.Name, level, below)
		}
		// The reference says all there is to know of the next level.
		owner = metav1.OwnerReference{APIVersion: controller.APIVersion, Kind: controller.Kind, Name: controller.Name, UID: controller.UID}
	}
	isController := true
	owner.Controller = &isController
	return &owner, nil
}

// read reads the metadata of what a reference in the namespace refers to.
func (c *Clients) read(ctx context.Context, namespace string, ref metav1.OwnerReference) (*metav1.PartialObjectMetadata, error) {
	version, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return nil, err
	}
	resources, err := c.Core.Discovery().ServerResourcesForGroupVersion(ref.APIVersion)
	if err != nil {
		return nil, fmt.Errorf("asking the API server for the kinds of %s: %w", ref.APIVersion, err)
	}
	for _, resource := range resources.APIResources {
		if resource.Kind == ref.Kind && resource.Namespaced && !isSubresource(resource) {
			return c.Metadata.Resource(version.WithResource(resource.Name)).Namespace(namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		}
	}
	return nil, fmt.Errorf("the API server has no kind %s in %s with a namespace", ref.Kind, ref.APIVersion)
}

func isSubresource(resource metav1.APIResource) bool { return strings.Contains(resource.Name, "/") }
