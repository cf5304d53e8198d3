package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

const (
	snapshotVersion = "v1"
	grantGroup      = "gateway.networking.k8s.io"
	grantVersion    = "v1beta1"
	// sourceTimeout bounds one request for a data source.
	sourceTimeout = 10 * time.Second
)

func snapshots() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: source.SnapshotGroup, Version: snapshotVersion, Resource: "volumesnapshots"}
}

func contents() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: source.SnapshotGroup, Version: snapshotVersion, Resource: "volumesnapshotcontents"}
}

func grants() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: grantGroup, Version: grantVersion, Resource: "referencegrants"}
}

// Sources reads what volumes are made from, and keeps it from being deleted
// meanwhile. Objects are written as they were read but for their finalizers, so
// that nothing is lost of what this program does not know.
type Sources struct {
	client    dynamic.Interface
	informers *Informers
}

// NewSources returns the port. Where the informers have snapshots or grants, these
// are taken from there.
func NewSources(client dynamic.Interface, informers *Informers) *Sources {
	return &Sources{client: client, informers: informers}
}

// Snapshot returns a VolumeSnapshot; nil if there is none.
func (s *Sources) Snapshot(ctx context.Context, namespace, name string) (*source.Snapshot, error) {
	if s.informers.Snapshots != nil {
		object, exists, err := s.informers.Snapshots.GetIndexer().GetByKey(namespace + "/" + name)
		if snapshot, ok := object.(*source.Snapshot); err == nil && exists && ok {
			return snapshot, nil
		}
		return nil, err
	}
	return s.LiveSnapshot(ctx, namespace, name)
}

// LiveSnapshot does the same with the snapshot as it is now.
func (s *Sources) LiveSnapshot(ctx context.Context, namespace, name string) (*source.Snapshot, error) {
	return read[source.Snapshot](ctx, s.client.Resource(snapshots()).Namespace(namespace), name)
}

// Content returns a VolumeSnapshotContent as it is now; nil if there is none.
func (s *Sources) Content(ctx context.Context, name string) (*source.Content, error) {
	return read[source.Content](ctx, s.client.Resource(contents()), name)
}

// Claim returns a claim; nil if there is none. The cache does not hold all of the
// claims that name another driver.
func (s *Sources) Claim(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	claim, err := s.informers.ClaimLister().PersistentVolumeClaims(namespace).Get(name)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading claim %s/%s: %w", namespace, name, err)
	case len(claim.Spec.AccessModes) > 0: // as all claims have
		return claim, nil
	}
	resource := corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims")
	return read[corev1.PersistentVolumeClaim](ctx, s.client.Resource(resource).Namespace(namespace), name)
}

// Grants returns the ReferenceGrants of a namespace.
func (s *Sources) Grants(namespace string) ([]*source.Grant, error) {
	if s.informers.Grants == nil {
		return nil, fmt.Errorf("looking for ReferenceGrants: the API server had none of %s/%s when this program started: install them and start it again", grantGroup, grantVersion)
	}
	return indexed[*source.Grant](s.informers.Grants, cacheNamespace, namespace)
}

// ErrGone says that a data source does not exist any more.
var ErrGone = errors.New("it does not exist any more")

// ErrDeleting says that a data source is being deleted, so that nobody can keep it
// any more.
var ErrDeleting = errors.New("it is being deleted")

// Protect keeps a data source from being deleted, by its finalizer. The error wraps
// [ErrGone] or [ErrDeleting] where it is too late.
func (s *Sources) Protect(ctx context.Context, object source.Object) error {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error { return s.protect(ctx, object) })
	if err != nil {
		return fmt.Errorf("protecting %s while a volume is made from it: %w", object, err)
	}
	return nil
}

func (s *Sources) protect(ctx context.Context, object source.Object) error {
	now, err := s.find(ctx, object)
	finalizer := finalizerOf(object.Kind)
	switch {
	case err != nil:
		return err
	case slices.Contains(now.GetFinalizers(), finalizer):
		return nil
	case now.GetDeletionTimestamp() != nil:
		return ErrDeleting
	}
	now.SetFinalizers(append(now.GetFinalizers(), finalizer))
	_, err = s.of(object).Update(ctx, now, metav1.UpdateOptions{})
	return err
}

// Unprotect takes the finalizer from a data source as it is now; one that has gone,
// or has none, is no error. If it changes meanwhile, the error is a conflict.
func (s *Sources) Unprotect(ctx context.Context, object source.Object) error {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	now, err := s.find(ctx, object)
	finalizer := finalizerOf(object.Kind)
	switch {
	case errors.Is(err, ErrGone):
		return nil
	case err != nil:
		return fmt.Errorf("ending the protection of %s: %w", object, err)
	case !slices.Contains(now.GetFinalizers(), finalizer):
		return nil
	}
	rest := slices.DeleteFunc(now.GetFinalizers(), func(f string) bool { return f == finalizer })
	if len(rest) == 0 {
		rest = nil // no field rather than an empty one
	}
	now.SetFinalizers(rest)
	_, err = s.of(object).Update(ctx, now, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("ending the protection of %s: %w", object, err)
	}
	return nil
}

func finalizerOf(kind string) string {
	if kind == source.KindSnapshot {
		return names.SnapshotFinalizer
	}
	return names.CloneFinalizer
}

func (s *Sources) of(object source.Object) dynamic.ResourceInterface {
	resource := corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims")
	if object.Kind == source.KindSnapshot {
		resource = snapshots()
	}
	return s.client.Resource(resource).Namespace(object.Namespace)
}

// find reads the object, and no other one of its name.
func (s *Sources) find(ctx context.Context, object source.Object) (*unstructured.Unstructured, error) {
	now, err := s.of(object).Get(ctx, object.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && now.GetUID() != object.UID {
		return nil, ErrGone
	}
	return now, err
}

// read returns an object as it is now; nil if there is none.
func read[T any](ctx context.Context, client dynamic.ResourceInterface, name string) (*T, error) {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	found, err := client.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the claim's data source: %w", err)
	}
	object := new(T)
	if err := convert(found, object); err != nil {
		return nil, err
	}
	return object, nil
}

func convert(from *unstructured.Unstructured, to any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(from.Object, to); err != nil {
		return fmt.Errorf("reading %s %s/%s: %w", from.GetKind(), from.GetNamespace(), from.GetName(), err)
	}
	return nil
}
