package kube

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// Patch changes a claim's status and annotations from what was read to what is
// wanted, by the subresource status. The patch holds what differs, and applies
// only to the claim as it was read: if it has changed since, the error is a
// conflict. Nothing is sent when nothing differs. The result is the claim as the
// API server has it then.
func (c *Claims) Patch(ctx context.Context, from, to *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error) {
	patch, err := difference(from, to, from.ObjectMeta)
	if err != nil || patch == nil {
		return from, err
	}
	patched, err := c.client.CoreV1().PersistentVolumeClaims(from.Namespace).Patch(ctx, from.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return nil, fmt.Errorf("writing the status of claim %s/%s: %w", from.Namespace, from.Name, err)
	}
	return patched, nil
}

// Patch changes a PersistentVolume from what was read to what is wanted, under
// the same rules as [Claims.Patch].
func (v *Volumes) Patch(ctx context.Context, from, to *corev1.PersistentVolume) (*corev1.PersistentVolume, error) {
	patch, err := difference(from, to, from.ObjectMeta)
	if err != nil || patch == nil {
		return from, err
	}
	patched, err := v.client.CoreV1().PersistentVolumes().Patch(ctx, from.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return nil, fmt.Errorf("writing PersistentVolume %q: %w", from.Name, err)
	}
	return patched, nil
}

// difference returns the strategic merge patch between two states of an object,
// with the identity of the first as precondition; nil when they are the same.
func difference[T any](from, to *T, precondition metav1.ObjectMeta) ([]byte, error) {
	before, err := json.Marshal(from)
	if err != nil {
		return nil, fmt.Errorf("writing the patch of %q: %w", precondition.Name, err)
	}
	after, err := json.Marshal(to)
	if err != nil {
		return nil, fmt.Errorf("writing the patch of %q: %w", precondition.Name, err)
	}
	var schema T
	plain, err := strategicpatch.CreateTwoWayMergePatch(before, after, schema)
	if err != nil {
		return nil, fmt.Errorf("writing the patch of %q: %w", precondition.Name, err)
	}
	patch := map[string]any{}
	if err := json.Unmarshal(plain, &patch); err != nil {
		return nil, fmt.Errorf("writing the patch of %q: %w", precondition.Name, err)
	}
	if len(patch) == 0 {
		return nil, nil
	}
	metadata, _ := patch["metadata"].(map[string]any)
	if metadata == nil {
		metadata = map[string]any{}
		patch["metadata"] = metadata
	}
	metadata["uid"] = precondition.UID
	metadata["resourceVersion"] = precondition.ResourceVersion
	return json.Marshal(patch)
}
