package expand_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// TestExpandMigrated expands a volume of an in-tree plugin whose place the driver has
// taken: the driver is asked for it by its own handle, and the PersistentVolume
// stays in-tree.
func TestExpandMigrated(t *testing.T) {
	const driver = "ebs.csi.aws.com"
	w := newWorld(t)
	w.config.Driver = driver
	w.deps.InTree = kube.NewInTree(driver)
	w.volume.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{
		AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "vol-0123456789abcdef0", FSType: "xfs"},
	}
	w.start()
	w.succeed()
	if !w.migrated {
		t.Error("the call does not count as one for an in-tree volume")
	}
	if calls := strings.Join(w.journal, "\n"); !strings.Contains(calls, "expand vol-0123456789abcdef0 to 7Gi") {
		t.Errorf("the driver was not asked for its volume:\n%s", calls)
	}
	if w.volume.Spec.AWSElasticBlockStore == nil || w.volume.Spec.CSI != nil {
		t.Errorf("the stored volume is %+v", w.volume.Spec.PersistentVolumeSource)
	}
	if size := w.volume.Spec.Capacity[corev1.ResourceStorage]; size.String() != "7Gi" {
		t.Errorf("the stored volume has %s", size.String())
	}
}
