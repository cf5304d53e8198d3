package kube

import (
	"context"
	"fmt"
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

// SourceScope says which objects are watched that claims name as data sources.
type SourceScope struct {
	// Snapshots are VolumeSnapshots of all namespaces.
	Snapshots bool
	// Grants are ReferenceGrants of all namespaces.
	Grants bool
}

const (
	cacheNamespace = cache.NamespaceIndex
	// bySource finds the claims that want a volume made from a source.
	bySource = "source"
	// byProtection finds the snapshots that have the finalizer of restores.
	byProtection = "protection"
	protected    = "protected"
)

// addSources makes the informers of a scope, and the index of the claims.
func (i *Informers) addSources(clients *Clients, driver Driver) error {
	if err := i.Claims.AddIndexers(cache.Indexers{bySource: wantedSource(driver.Name)}); err != nil {
		return fmt.Errorf("indexing claims by their data sources: %w", err)
	}
	if !driver.Sources.Snapshots && !driver.Sources.Grants {
		return nil
	}
	i.dynamic = dynamicinformer.NewDynamicSharedInformerFactory(clients.Dynamic, noResync)
	if driver.Sources.Snapshots {
		i.Snapshots = i.dynamic.ForResource(snapshots()).Informer()
		if err := i.Snapshots.SetTransform(trimSnapshot); err != nil {
			return fmt.Errorf("setting up the informer of VolumeSnapshots: %w", err)
		}
		if err := i.Snapshots.AddIndexers(cache.Indexers{byProtection: protection}); err != nil {
			return fmt.Errorf("indexing VolumeSnapshots: %w", err)
		}
	}
	if driver.Sources.Grants {
		i.Grants = i.dynamic.ForResource(grants()).Informer()
		if err := i.Grants.SetTransform(trimGrant); err != nil {
			return fmt.Errorf("setting up the informer of ReferenceGrants: %w", err)
		}
	}
	return nil
}

// wantedSource returns the data source of claims that the driver has to make a
// volume for.
func wantedSource(driver string) cache.IndexFunc {
	return func(object any) ([]string, error) {
		claim, ok := object.(*corev1.PersistentVolumeClaim)
		if !ok || claim.Spec.VolumeName != "" || !claimNames(claim, driver) {
			return nil, nil
		}
		if ref, ok := source.Of(claim); ok {
			return []string{ref.String()}, nil
		}
		return nil, nil
	}
}

// claimNames tells whether a claim names the driver.
func claimNames(claim *corev1.PersistentVolumeClaim, driver string) bool {
	for _, key := range []string{names.StorageProvisioner, names.StorageProvisionerBeta, names.MigratedTo} {
		if claim.Annotations[key] == driver {
			return true
		}
	}
	return false
}

func protection(object any) ([]string, error) {
	if snapshot, ok := object.(*source.Snapshot); ok && slices.Contains(snapshot.Finalizers, names.SnapshotFinalizer) {
		return []string{protected}, nil
	}
	return nil, nil
}

// ClaimsOf returns the claims that want a volume made from a source.
func (i *Informers) ClaimsOf(key source.Key) ([]*corev1.PersistentVolumeClaim, error) {
	return indexed[*corev1.PersistentVolumeClaim](i.Claims, bySource, key.String())
}

// ProtectedSnapshots returns the snapshots that have the finalizer of restores;
// none where snapshots are not watched.
func (i *Informers) ProtectedSnapshots() ([]*source.Snapshot, error) {
	if i.Snapshots == nil {
		return nil, nil
	}
	return indexed[*source.Snapshot](i.Snapshots, byProtection, protected)
}

func indexed[T any](informer cache.SharedIndexInformer, index, value string) ([]T, error) {
	objects, err := informer.GetIndexer().ByIndex(index, value)
	if err != nil {
		return nil, fmt.Errorf("looking for what has %q in the index %q: %w", value, index, err)
	}
	var found []T
	for _, object := range objects {
		if one, ok := object.(T); ok {
			found = append(found, one)
		}
	}
	return found, nil
}

// trimSnapshot keeps of a VolumeSnapshot what is read of it.
func trimSnapshot(object any) (any, error) {
	from, ok := object.(*unstructured.Unstructured)
	if !ok {
		return object, nil
	}
	snapshot := &source.Snapshot{}
	if err := convert(from, snapshot); err != nil {
		// What can't be read is not ready.
		snapshot.Status = source.SnapshotStatus{}
	}
	snapshot.ObjectMeta = sourceIdentity(from)
	for _, finalizer := range from.GetFinalizers() {
		if finalizer == names.SnapshotFinalizer {
			snapshot.Finalizers = []string{finalizer}
		}
	}
	return snapshot, nil
}

// trimGrant keeps of a ReferenceGrant what is read of it.
func trimGrant(object any) (any, error) {
	from, ok := object.(*unstructured.Unstructured)
	if !ok {
		return object, nil
	}
	grant := &source.Grant{}
	if err := convert(from, grant); err != nil {
		// What can't be read allows nothing.
		grant.Spec = source.GrantSpec{}
	}
	grant.ObjectMeta = sourceIdentity(from)
	return grant, nil
}

func sourceIdentity(object *unstructured.Unstructured) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace:         object.GetNamespace(),
		Name:              object.GetName(),
		UID:               object.GetUID(),
		ResourceVersion:   object.GetResourceVersion(),
		DeletionTimestamp: object.GetDeletionTimestamp(),
	}
}

// HasSnapshots tells whether the API server has VolumeSnapshots, and lets this
// process watch them. Without, they are read one by one.
func HasSnapshots(ctx context.Context, client kubernetes.Interface) (bool, error) {
	if known, err := has(client, snapshots()); !known {
		return false, err
	}
	for _, verb := range []string{"list", "watch"} {
		review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Group: snapshots().Group, Resource: snapshots().Resource, Verb: verb,
			}},
		}, metav1.CreateOptions{})
		if err != nil {
			return false, fmt.Errorf("asking for the right to %s VolumeSnapshots: %w", verb, err)
		}
		if !review.Status.Allowed {
			return false, nil
		}
	}
	return true, nil
}

// HasGrants tells whether the API server has ReferenceGrants.
func HasGrants(client kubernetes.Interface) (bool, error) { return has(client, grants()) }

func has(client kubernetes.Interface, wanted schema.GroupVersionResource) (bool, error) {
	resources, err := client.Discovery().ServerResourcesForGroupVersion(wanted.GroupVersion().String())
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking the API server whether it has %s: %w", wanted.GroupResource(), err)
	}
	return slices.ContainsFunc(resources.APIResources, func(r metav1.APIResource) bool { return r.Name == wanted.Resource }), nil
}
