package provision

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

// Sources are what volumes can be made from; see [kube.Sources].
type Sources interface {
	Snapshot(ctx context.Context, namespace, name string) (*source.Snapshot, error)
	Content(ctx context.Context, name string) (*source.Content, error)
	Claim(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error)
	Grants(namespace string) ([]*source.Grant, error)
	Protect(ctx context.Context, object source.Object) error
}

// gatherSource collects what is to be known of the claim's data source. Why it
// can't be read is for the planner, too: what was begun goes on without.
func (c *Controller) gatherSource(ctx context.Context, input provision.Input) provision.Source {
	ref, wanted := provision.WantsSource(input)
	if !wanted {
		return provision.Source{}
	}
	found, err := c.findSource(ctx, input, ref)
	if err != nil {
		return provision.Source{Err: fmt.Errorf("looking at %s, which the claim's data is to come from: %w", ref, err)}
	}
	return found
}

func (c *Controller) findSource(ctx context.Context, input provision.Input, ref source.Ref) (found provision.Source, err error) {
	if ref.Namespace != input.Claim.Namespace {
		found.Grants, err = c.deps.Sources.Grants(ref.Namespace)
		if err != nil || !source.Granted(found.Grants, input.Claim.Namespace, ref) {
			return found, err
		}
	}
	switch {
	case ref.Name == "":
	case ref.IsSnapshot() && ref.Group == source.SnapshotGroup && input.Driver.Capabilities.Snapshot:
		err = c.findSnapshot(ctx, ref, &found)
	case ref.IsClaim() && input.Driver.Capabilities.Clone:
		err = c.findClone(ctx, ref, &found)
	}
	return found, err
}

func (c *Controller) findSnapshot(ctx context.Context, ref source.Ref, found *provision.Source) (err error) {
	found.Snapshot, err = c.deps.Sources.Snapshot(ctx, ref.Namespace, ref.Name)
	if err != nil || found.Snapshot == nil || found.Snapshot.Status.Content == nil || *found.Snapshot.Status.Content == "" {
		return err
	}
	found.Content, err = c.deps.Sources.Content(ctx, *found.Snapshot.Status.Content)
	return err
}

func (c *Controller) findClone(ctx context.Context, ref source.Ref, found *provision.Source) (err error) {
	found.Claim, err = c.deps.Sources.Claim(ctx, ref.Namespace, ref.Name)
	if err != nil || found.Claim == nil || found.Claim.Spec.VolumeName == "" {
		return err
	}
	found.Volume, err = c.deps.Volumes.Get(found.Claim.Spec.VolumeName)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// The dependencies of claims that are to be made from a source.

// SourceChanged is woken when the source, or the volume of a source, changes in a way
// that matters to them.
func SourceChanged(key source.Key) controller.Dependency {
	return controller.Dependency{Kind: key.Kind, Name: key.Namespace + "/" + key.Name}
}

// GrantsChanged is woken when the grants of a namespace change.
func GrantsChanged(namespace string) controller.Dependency {
	return controller.Dependency{Kind: "ReferenceGrant", Name: namespace}
}

func sourceDependencies(claim *corev1.PersistentVolumeClaim) []controller.Dependency {
	ref, ok := source.Of(claim)
	if !ok {
		return nil
	}
	wait := []controller.Dependency{SourceChanged(ref.Key)}
	if ref.Namespace != claim.Namespace {
		wait = append(wait, GrantsChanged(ref.Namespace))
	}
	return wait
}

// SameSource tells whether a claim has not changed for those who want to clone its
// volume. Finalizers do not count.
func SameSource(old, now *corev1.PersistentVolumeClaim) bool {
	before, after := old.Spec.Resources.Requests[corev1.ResourceStorage], now.Spec.Resources.Requests[corev1.ResourceStorage]
	return old.UID == now.UID && old.Status.Phase == now.Status.Phase && old.Spec.VolumeName == now.Spec.VolumeName &&
		(old.DeletionTimestamp == nil) == (now.DeletionTimestamp == nil) && before.Cmp(after) == 0
}
