package cluster

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

// AddNode makes a node by hand, which has no kubelet: it is ready and takes pods,
// and they stay pending on it.
func (c *Cluster) AddNode(ctx context.Context, name string, labels map[string]string) error {
	room := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("64"),
		corev1.ResourceMemory: resource.MustParse("256Gi"),
		corev1.ResourcePods:   resource.MustParse("1000"),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Status: corev1.NodeStatus{
			Capacity:    room,
			Allocatable: room,
			Conditions: []corev1.NodeCondition{{
				Type:               corev1.NodeReady,
				Status:             corev1.ConditionTrue,
				Reason:             "MadeByHand",
				LastHeartbeatTime:  metav1.Now(),
				LastTransitionTime: metav1.Now(),
			}},
		},
	}
	if _, err := c.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("making the node %q: %w", name, err)
	}
	return c.untaint(ctx, name)
}

// untaint takes away the taint that admission gives each new node, as the
// controller manager does, if there is one, in a while.
func (c *Cluster) untaint(ctx context.Context, node string) error {
	patch := []byte(`{"spec":{"taints":null}}`)
	if _, err := c.client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("making the node %q schedulable: %w", node, err)
	}
	return nil
}

// AddCSINode says that a driver runs on a node made by hand, as the driver's
// registration with a kubelet does: nodeID is the driver's name for the node,
// topologyKeys the labels of the node that the driver understands.
func (c *Cluster) AddCSINode(ctx context.Context, node, driver, nodeID string, topologyKeys ...string) error {
	entry := storagev1.CSINodeDriver{Name: driver, NodeID: nodeID, TopologyKeys: topologyKeys}
	add := func() error { return c.addCSINodeDriver(ctx, node, entry) }
	if err := retry.RetryOnConflict(retry.DefaultRetry, add); err != nil {
		return fmt.Errorf("adding the driver %q to the node %q: %w", driver, node, err)
	}
	return nil
}

func (c *Cluster) addCSINodeDriver(ctx context.Context, node string, entry storagev1.CSINodeDriver) error {
	csiNodes := c.client.StorageV1().CSINodes()
	object, err := csiNodes.Get(ctx, node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		object = &storagev1.CSINode{
			ObjectMeta: metav1.ObjectMeta{Name: node},
			Spec:       storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{entry}},
		}
		_, err = csiNodes.Create(ctx, object, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	// A driver that registers again takes its own place.
	object.Spec.Drivers = slices.DeleteFunc(object.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return d.Name == entry.Name })
	object.Spec.Drivers = append(object.Spec.Drivers, entry)
	_, err = csiNodes.Update(ctx, object, metav1.UpdateOptions{})
	return err
}
