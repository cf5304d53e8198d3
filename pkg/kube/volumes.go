package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// Volumes writes PersistentVolumes.
type Volumes struct {
	client kubernetes.Interface
	inTree *InTree
	// storing bounds the volumes that are stored at one time.
	storing chan struct{}
	create  func(ctx context.Context, volume *corev1.PersistentVolume) error
}

// maxStoring is how many volumes are stored at one time: enough to keep an API server
// busy, and not so many that its priority and fairness turns the rest of a burst away
// for a second (it keeps some hundred requests of one client waiting).
const maxStoring = 100

// NewVolumes returns the port. Volumes that the plugin of inTree has provisioned
// are stored as the plugin's.
func NewVolumes(client kubernetes.Interface, inTree *InTree) *Volumes {
	v := &Volumes{client: client, inTree: inTree, storing: make(chan struct{}, maxStoring)}
	v.create = func(ctx context.Context, volume *corev1.PersistentVolume) error {
		_, err := client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
		return err
	}
	return v
}

// briefAnswer asks for the metadata of an object alone.
const briefAnswer = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1," +
	"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

// Briefly has volumes stored by a client of the core API, and returns the port. Of what the
// API server answers, only the metadata is sent, and nothing is decoded: nobody reads it.
func (v *Volumes) Briefly(client rest.Interface) *Volumes {
	v.create = func(ctx context.Context, volume *corev1.PersistentVolume) error {
		return client.Post().Resource("persistentvolumes").SetHeader("Accept", briefAnswer).Body(volume).Do(ctx).Error()
	}
	return v
}

// ErrRefused is wrapped by the error of a write that the API server will not
// take, however often it is tried: the object is invalid, or too large, or there
// is no such object of the in-tree plugin.
var ErrRefused = errors.New("the object is refused for good")

// TakenError says that a PersistentVolume of the same name exists and belongs to
// something else.
type TakenError struct {
	// Volume is the one that exists, as a volume of the driver if it is the
	// in-tree plugin's.
	Volume *corev1.PersistentVolume
}

func (e *TakenError) Error() string {
	owner := "no claim"
	if ref := e.Volume.Spec.ClaimRef; ref != nil {
		owner = fmt.Sprintf("claim %s/%s (uid %s)", ref.Namespace, ref.Name, ref.UID)
	}
	return fmt.Sprintf("a PersistentVolume %q exists already and belongs to %s", e.Volume.Name, owner)
}

// Store creates a PersistentVolume. One that exists already counts as stored
// when it is for the same claim and has the same handle; otherwise the error is
// a [TakenError]. The error wraps [ErrRefused] when there is no point in another
// try; after any other error the volume may or may not be stored.
func (v *Volumes) Store(ctx context.Context, volume *corev1.PersistentVolume) error {
	select {
	case v.storing <- struct{}{}:
		defer func() { <-v.storing }()
	case <-ctx.Done():
		return fmt.Errorf("waiting to store PersistentVolume %q: %w", volume.Name, context.Cause(ctx))
	}
	stored, err := v.inTree.AsStored(volume)
	if err != nil {
		// No other try gives another answer.
		return fmt.Errorf("storing PersistentVolume %q: %w: %w", volume.Name, ErrRefused, err)
	}
	err = v.create(ctx, stored)
	switch {
	case err == nil:
		return nil
	case apierrors.IsAlreadyExists(err):
		return v.compare(ctx, volume)
	case apierrors.IsInvalid(err), apierrors.IsRequestEntityTooLargeError(err), apierrors.IsBadRequest(err):
		return v.refused(ctx, volume, err)
	}
	return fmt.Errorf("storing PersistentVolume %q: %w", volume.Name, err)
}

// refused looks whether the volume is there all the same: what the API server
// refuses now, it may have taken before.
func (v *Volumes) refused(ctx context.Context, volume *corev1.PersistentVolume, why error) error {
	err := v.compare(ctx, volume)
	if !apierrors.IsNotFound(err) {
		return err
	}
	return fmt.Errorf("storing PersistentVolume %q: %w: %w", volume.Name, ErrRefused, why)
}

func (v *Volumes) compare(ctx context.Context, volume *corev1.PersistentVolume) error {
	stored, err := v.client.CoreV1().PersistentVolumes().Get(ctx, volume.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("comparing with the existing PersistentVolume %q: %w", volume.Name, err)
	}
	if stored, err = v.inTree.AsCSI(ctx, stored); err != nil {
		return fmt.Errorf("comparing with the existing PersistentVolume %q: %w", volume.Name, err)
	}
	if SameVolume(stored, volume) && stored.Spec.ClaimRef != nil && stored.Spec.ClaimRef.UID == volume.Spec.ClaimRef.UID {
		return nil
	}
	return &TakenError{Volume: stored}
}

// Get reads a PersistentVolume as it is now.
func (v *Volumes) Get(ctx context.Context, name string) (*corev1.PersistentVolume, error) {
	volume, err := v.client.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading PersistentVolume %q: %w", name, err)
	}
	return volume, nil
}

// SameVolume tells whether two PersistentVolumes stand for the same volume of
// the same driver.
func SameVolume(a, b *corev1.PersistentVolume) bool {
	return a.Spec.CSI != nil && b.Spec.CSI != nil &&
		a.Spec.CSI.Driver == b.Spec.CSI.Driver && a.Spec.CSI.VolumeHandle == b.Spec.CSI.VolumeHandle
}

// Delete deletes a PersistentVolume, if it is still the one with that UID; one
// that is gone is no error.
func (v *Volumes) Delete(ctx context.Context, name string, uid types.UID) error {
	err := v.client.CoreV1().PersistentVolumes().Delete(ctx, name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &uid},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting PersistentVolume %q: %w", name, err)
	}
	return nil
}

// AddFinalizer adds the finalizer of this program to the volume as it was read;
// if it has changed since, the error is a conflict.
func (v *Volumes) AddFinalizer(ctx context.Context, volume *corev1.PersistentVolume) error {
	return v.setFinalizers(ctx, volume, append(slices.Clone(volume.Finalizers), names.VolumeFinalizer))
}

// RemoveFinalizer removes the finalizer of this program from the volume as it
// was read; if it has changed since, the error is a conflict. A volume that is
// gone is no error.
func (v *Volumes) RemoveFinalizer(ctx context.Context, volume *corev1.PersistentVolume) error {
	rest := slices.DeleteFunc(slices.Clone(volume.Finalizers), func(f string) bool { return f == names.VolumeFinalizer })
	err := v.setFinalizers(ctx, volume, rest)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func (v *Volumes) setFinalizers(ctx context.Context, volume *corev1.PersistentVolume, finalizers []string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":             volume.UID,
		"resourceVersion": volume.ResourceVersion,
		"finalizers":      finalizers,
	}})
	if err != nil {
		return fmt.Errorf("writing the patch of PersistentVolume %q: %w", volume.Name, err)
	}
	if _, err := v.client.CoreV1().PersistentVolumes().Patch(ctx, volume.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("setting the finalizers of PersistentVolume %q to %q: %w", volume.Name, finalizers, err)
	}
	return nil
}
