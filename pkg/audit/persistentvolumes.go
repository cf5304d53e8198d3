package audit

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

const (
	// persistentVolumePage is the number of PersistentVolumes in a request.
	persistentVolumePage = 500
	// maxStarts is how often the list is begun before it is given up. A list that
	// takes longer than etcd keeps old versions (5 minutes, by default) must begin
	// again.
	maxStarts = 3
)

// Cluster lists PersistentVolumes of a driver, those of the in-tree plugin that it
// has taken the place of among them.
type Cluster struct {
	client kubernetes.Interface
	driver string
	inTree *kube.InTree
}

// NewCluster returns the port.
func NewCluster(client kubernetes.Interface, driver string) *Cluster {
	return &Cluster{client: client, driver: driver, inTree: kube.NewInTree(driver)}
}

// HasClaim tells whether there is a claim, with that UID. Where it may not be asked for, it
// counts as there.
func (c *Cluster) HasClaim(ctx context.Context, key kube.ClaimKey) (bool, error) {
	claim, err := c.client.CoreV1().PersistentVolumeClaims(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case apierrors.IsForbidden(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("looking for claim %s: %w", key, err)
	}
	return claim.UID == key.UID, nil
}

// List returns the driver's PersistentVolumes as they were at one moment during
// the call: all pages are of the version of the first, and that one is read from
// the storage and not from a cache which may be behind.
func (c *Cluster) List(ctx context.Context) ([]PersistentVolume, error) {
	for starts := 1; ; starts++ {
		volumes, err := c.list(ctx)
		if err == nil {
			return volumes, nil
		}
		if starts == maxStarts || !apierrors.IsResourceExpired(err) {
			return nil, fmt.Errorf("listing PersistentVolumes: %w", err)
		}
	}
}

func (c *Cluster) list(ctx context.Context) ([]PersistentVolume, error) {
	var volumes []PersistentVolume
	options := metav1.ListOptions{Limit: persistentVolumePage}
	for {
		page, err := c.client.CoreV1().PersistentVolumes().List(ctx, options)
		if err != nil {
			return nil, err
		}
		for n := range page.Items {
			if volume, own := c.describe(ctx, &page.Items[n]); own {
				volumes = append(volumes, volume)
			}
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return volumes, nil
		}
	}
}

// describe returns what counts of a volume; false when it is not the driver's.
func (c *Cluster) describe(ctx context.Context, volume *corev1.PersistentVolume) (PersistentVolume, bool) {
	capacity := volume.Spec.Capacity[corev1.ResourceStorage]
	described := PersistentVolume{
		Name:          volume.Name,
		UID:           volume.UID,
		CapacityBytes: capacity.Value(),
		Deleting:      deleting(volume),
	}
	if ref := volume.Spec.ClaimRef; ref != nil {
		described.Claim = &Claim{Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID}
	}
	asCSI, err := c.inTree.AsCSI(ctx, volume)
	if err != nil {
		described.Problem = err.Error()
		return described, true
	}
	source := asCSI.Spec.CSI
	if source == nil || source.Driver != c.driver {
		return PersistentVolume{}, false
	}
	described.Handle = source.VolumeHandle
	return described, true
}

// deleting tells whether DeleteVolume may have been called for a volume: its claim
// has gone, and the volume is to go with it.
func deleting(volume *corev1.PersistentVolume) bool {
	switch volume.Status.Phase {
	case corev1.VolumeReleased, corev1.VolumeFailed:
		return volume.DeletionTimestamp != nil || volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete
	default:
		return false
	}
}
