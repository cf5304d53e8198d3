// Package inventory lists what there is of one driver, at the driver and in the cluster.
package inventory

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

// JournalLabel is the label of the journal's ConfigMaps; its value is the driver's name.
const JournalLabel = "csi-provisioner/journal"

// An Inventory is what there is of one driver.
type Inventory struct {
	// Claims are those of the driver's users.
	Claims []corev1.PersistentVolumeClaim
	// PersistentVolumes are those of the driver.
	PersistentVolumes []corev1.PersistentVolume
	// Batches are the names of the journal's objects.
	Batches []string
	// Volumes are those that the driver has.
	Volumes []control.Volume
}

// Size is the number of all that there is.
func (i Inventory) Size() int {
	return len(i.Claims) + len(i.PersistentVolumes) + len(i.Batches) + len(i.Volumes)
}

func (i Inventory) String() string {
	return fmt.Sprintf("%d claims, %d PersistentVolumes, %d batches of the journal and %d volumes at the driver", len(i.Claims), len(i.PersistentVolumes), len(i.Batches), len(i.Volumes))
}

// A Reader reads the inventory of a driver.
type Reader struct {
	Client kubernetes.Interface
	Driver *stage.Driver
	// IsUsers reports whether a namespace is one of the driver's users.
	IsUsers func(namespace string) bool
}

// Read lists everything. The driver's volumes come last, so that a volume that is being
// made is not seen without the other traces of it.
func (r Reader) Read(ctx context.Context) (Inventory, error) {
	var found Inventory
	claims, err := r.Client.CoreV1().PersistentVolumeClaims(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return found, fmt.Errorf("listing claims: %w", err)
	}
	for _, claim := range claims.Items {
		if r.IsUsers(claim.Namespace) {
			found.Claims = append(found.Claims, claim)
		}
	}
	volumes, err := r.Client.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return found, fmt.Errorf("listing PersistentVolumes: %w", err)
	}
	for _, volume := range volumes.Items {
		if volume.Spec.CSI != nil && volume.Spec.CSI.Driver == r.Driver.Name {
			found.PersistentVolumes = append(found.PersistentVolumes, volume)
		}
	}
	if found.Batches, err = Batches(ctx, r.Client, r.Driver.Name, 0); err != nil {
		return found, err
	}
	if found.Volumes, err = r.Driver.Control.Volumes(ctx); err != nil {
		return found, fmt.Errorf("listing the driver's volumes: %w", err)
	}
	return found, nil
}

// WaitEmpty waits until there is nothing: no claim of the driver's users, no volume, and no
// batch of the journal.
func (r Reader) WaitEmpty(ctx context.Context, patience wait.Patience) error {
	return patience.Try(ctx, "waiting until nothing is left", func() error {
		left, err := r.Read(ctx)
		if err == nil && left.Size() > 0 {
			return fmt.Errorf("there are %s", left)
		}
		return err
	})
}

// InNamespace has the users be those of one namespace.
func InNamespace(name string) func(namespace string) bool {
	return func(namespace string) bool { return namespace == name }
}

// Journal lists the objects that the journal of a driver has, no more than the limit unless
// that is 0.
func Journal(ctx context.Context, client kubernetes.Interface, driver string, limit int64) ([]corev1.ConfigMap, error) {
	list, err := client.CoreV1().ConfigMaps(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: JournalLabel + "=" + driver, Limit: limit})
	if err != nil {
		return nil, fmt.Errorf("listing the journal: %w", err)
	}
	return list.Items, nil
}

// Batches lists the names of the objects that the journal of a driver has, no more than
// the limit unless that is 0.
func Batches(ctx context.Context, client kubernetes.Interface, driver string, limit int64) ([]string, error) {
	batches, err := Journal(ctx, client, driver, limit)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, batch := range batches {
		names = append(names, batch.Name)
	}
	return names, nil
}
