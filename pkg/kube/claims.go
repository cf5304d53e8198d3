package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// Claims writes PersistentVolumeClaims.
type Claims struct{ client kubernetes.Interface }

// NewClaims returns the port.
func NewClaims(client kubernetes.Interface) *Claims { return &Claims{client} }

// Get reads a claim as it is now.
func (c *Claims) Get(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	claim, err := c.client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading claim %s/%s: %w", namespace, name, err)
	}
	return claim, nil
}

// Reschedule takes the selected node from a claim, so that the scheduler
// chooses another. Nothing is done when the claim has been replaced, or has
// another node already. It is a read and an update rather than a patch, as the
// role of external-provisioner does not allow to patch claims.
func (c *Claims) Reschedule(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	client := c.client.CoreV1().PersistentVolumeClaims(claim.Namespace)
	current, err := client.Get(ctx, claim.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading claim %s/%s to reschedule it: %w", claim.Namespace, claim.Name, err)
	}
	if current.UID != claim.UID || current.Annotations[names.SelectedNode] != claim.Annotations[names.SelectedNode] {
		return nil
	}
	delete(current.Annotations, names.SelectedNode)
	delete(current.Annotations, names.SelectedNodeAlpha)
	if _, err := client.Update(ctx, current, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("removing annotation %s from claim %s/%s: %w", names.SelectedNode, claim.Namespace, claim.Name, err)
	}
	return nil
}
