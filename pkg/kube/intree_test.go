package kube

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAsCSI(t *testing.T) {
	const driver = "ebs.csi.aws.com"
	of := func(source corev1.PersistentVolumeSource) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: "pv", Annotations: map[string]string{"pv.kubernetes.io/migrated-to": driver}},
			Spec: corev1.PersistentVolumeSpec{
				AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				PersistentVolumeSource: source,
			},
		}
	}
	for name, c := range map[string]struct {
		source corev1.PersistentVolumeSource
		// driver and handle of what it is shown as; empty for as it is.
		driver, handle string
	}{
		"the driver's plugin": {corev1.PersistentVolumeSource{
			AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "vol-0123456789abcdef0", FSType: "xfs"},
		}, driver, "vol-0123456789abcdef0"},
		"another plugin": {corev1.PersistentVolumeSource{
			GCEPersistentDisk: &corev1.GCEPersistentDiskVolumeSource{PDName: "disk"},
		}, "", ""},
		"no plugin of a driver": {corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "nfs", Path: "/"}}, "", ""},
		"another driver, whatever the annotation says": {corev1.PersistentVolumeSource{
			CSI: &corev1.CSIPersistentVolumeSource{Driver: "other.example", VolumeHandle: "theirs"},
		}, "other.example", "theirs"},
	} {
		t.Run(name, func(t *testing.T) {
			volume := of(c.source)
			before := volume.DeepCopy()
			got, err := NewInTree(driver).AsCSI(t.Context(), volume)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, volume); diff != "" {
				t.Errorf("the argument was changed (-before +after):\n%s", diff)
			}
			if c.driver == "" {
				if got != volume {
					t.Errorf("shown as %v", got.Spec)
				}
				return
			}
			if got.Spec.CSI == nil || got.Spec.CSI.Driver != c.driver || got.Spec.CSI.VolumeHandle != c.handle {
				t.Errorf("shown as %+v, want %s of %s", got.Spec.CSI, c.handle, c.driver)
			}
		})
	}
}
