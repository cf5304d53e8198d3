package kube

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// Select selects a node for a claim, as the scheduler does for claims that bind
// late. It applies only to the claim as it was read: if it has changed since, for
// one because another node has been selected, the error is a conflict.
func (c *Claims) Select(ctx context.Context, claim *corev1.PersistentVolumeClaim, node string) error {
	client := c.client.CoreV1().PersistentVolumeClaims(claim.Namespace)
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":             claim.UID,
		"resourceVersion": claim.ResourceVersion,
		"annotations":     map[string]string{names.SelectedNode: node},
	}})
	if err != nil {
		return fmt.Errorf("writing the patch of claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	_, err = client.Patch(ctx, claim.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsForbidden(err) {
		// The role of external-provisioner allows to update claims only.
		changed := claim.DeepCopy()
		metav1.SetMetaDataAnnotation(&changed.ObjectMeta, names.SelectedNode, node)
		_, err = client.Update(ctx, changed, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("selecting node %q for claim %s/%s: %w", node, claim.Namespace, claim.Name, err)
	}
	return nil
}
