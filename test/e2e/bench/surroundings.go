package bench

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/load"
)

// addVolumes adds volumes with their claims until there are that many.
func (s *scene) addVolumes(ctx context.Context, total int) error {
	return s.addUntil(ctx, total, func(ctx context.Context, name string) error {
		_, err := s.addVolume(ctx, name)
		return err
	})
}

// addUntil adds volumes until there are that many.
func (s *scene) addUntil(ctx context.Context, total int, add func(ctx context.Context, name string) error) error {
	from := s.volumes
	s.volumes = max(total, from)
	return each(ctx, s.volumes-from, hands, func(ctx context.Context, n int) error {
		return add(ctx, fmt.Sprintf("old-%d", from+n))
	})
}

// addVolume adds a volume with a claim of the same name, which refer to each other.
func (s *scene) addVolume(ctx context.Context, name string) (*corev1.PersistentVolumeClaim, error) {
	claim, err := s.client.CoreV1().PersistentVolumeClaims(namespace).Create(ctx, bound(newClaim(name), name), metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("making a claim: %w", err)
	}
	return claim, s.storeVolume(ctx, newVolume(name, types.NamespacedName{Namespace: namespace, Name: name}, claim.UID))
}

func (s *scene) storeVolume(ctx context.Context, volume *corev1.PersistentVolume) error {
	if _, err := s.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("making a PersistentVolume: %w", err)
	}
	return nil
}

// addBoundVolumes adds volumes whose claims may be expanded.
func (s *scene) addBoundVolumes(ctx context.Context, total int) error {
	return s.addUntil(ctx, total, func(ctx context.Context, name string) error {
		claim, err := s.addVolume(ctx, name)
		if err != nil {
			return err
		}
		claim.Status.Phase = corev1.ClaimBound
		claim.Status.AccessModes = claim.Spec.AccessModes
		claim.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(load.Small)}
		if _, err := s.client.CoreV1().PersistentVolumeClaims(namespace).UpdateStatus(ctx, claim, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("binding a claim: %w", err)
		}
		return nil
	})
}

// addNodes adds nodes, each with a topology segment of its own, until there are that many.
func (s *scene) addNodes(ctx context.Context, total int) error {
	from := s.nodes
	s.nodes = max(total, from)
	return each(ctx, s.nodes-from, hands, func(ctx context.Context, n int) error {
		name := fmt.Sprintf("node-%d", from+n)
		if _, err := s.client.CoreV1().Nodes().Create(ctx, newNode(name), metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("making a node: %w", err)
		}
		if _, err := s.client.StorageV1().CSINodes().Create(ctx, newCSINode(name), metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("making a CSINode: %w", err)
		}
		return nil
	})
}

// measured is the label of claims that are there for one sample.
const measured = "measured"

// askFor makes claims.
func (s *scene) askFor(ctx context.Context, number int) error {
	return each(ctx, number, hands, func(ctx context.Context, n int) error {
		claim := newClaim(fmt.Sprintf("new-%d-%d", s.turn, n))
		claim.Labels = map[string]string{measured: ""}
		if _, err := s.client.CoreV1().PersistentVolumeClaims(namespace).Create(ctx, claim, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("making a claim: %w", err)
		}
		return nil
	})
}

// clear removes what was made in a sample: the claims, and all volumes but those that
// were there before.
func (s *scene) clear(ctx context.Context) error {
	err := s.client.CoreV1().PersistentVolumeClaims(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: measured})
	if err != nil {
		return fmt.Errorf("removing claims: %w", err)
	}
	if err := s.client.CoordinationV1().Leases(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		return fmt.Errorf("removing leases: %w", err)
	}
	names, err := s.newVolumes(ctx)
	if err != nil {
		return err
	}
	return each(ctx, len(names), hands, func(ctx context.Context, n int) error { return s.removeVolume(ctx, names[n]) })
}

// newVolumes returns the names of the volumes that were not there before the sample.
func (s *scene) newVolumes(ctx context.Context) ([]string, error) {
	list, err := s.client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing PersistentVolumes: %w", err)
	}
	var names []string
	for n := range list.Items {
		var old int
		if _, err := fmt.Sscanf(list.Items[n].Name, "old-%d", &old); err != nil {
			names = append(names, list.Items[n].Name)
		}
	}
	return names, nil
}

func (s *scene) removeVolume(ctx context.Context, name string) error {
	if err := s.client.CoreV1().PersistentVolumes().Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("removing a PersistentVolume: %w", err)
	}
	return s.releaseVolume(ctx, s.client, name)
}

// releaseVolume takes the finalizers away.
func (s *scene) releaseVolume(ctx context.Context, client kubernetes.Interface, name string) error {
	_, err := client.CoreV1().PersistentVolumes().Patch(ctx, name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing a finalizer: %w", err)
	}
	return nil
}
