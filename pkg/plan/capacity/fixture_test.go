package capacity_test

import (
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capacity"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

const driverName = "block.csi.example"

func settings() capacity.Settings {
	return capacity.Settings{Driver: driverName, Topology: true, Namespace: "ns", ManagedBy: names.CapacityManager}
}

func zone(name string) topology.Term { return topology.NewTerm(map[string]string{"zone": name}) }

func class(changes ...func(*storagev1.StorageClass)) *storagev1.StorageClass {
	late := storagev1.VolumeBindingWaitForFirstConsumer
	c := &storagev1.StorageClass{
		ObjectMeta:        metav1.ObjectMeta{Name: "fast"},
		Provisioner:       driverName,
		Parameters:        map[string]string{"tier": "gold"},
		VolumeBindingMode: &late,
	}
	for _, change := range changes {
		change(c)
	}
	return c
}

func bindsAtOnce(c *storagev1.StorageClass) {
	immediate := storagev1.VolumeBindingImmediate
	c.VolumeBindingMode = &immediate
}

// object is one for class fast in zone a, with 1Gi.
func object(name string, age time.Duration, changes ...func(*storagev1.CSIStorageCapacity)) *storagev1.CSIStorageCapacity {
	size := resource.MustParse("1Gi")
	o := &storagev1.CSIStorageCapacity{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: name, UID: types.UID("uid-" + name),
			CreationTimestamp: metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(-age)),
			Labels:            map[string]string{names.CapacityDriver: driverName, names.CapacityManagedBy: names.CapacityManager},
		},
		StorageClassName: "fast",
		NodeTopology:     &metav1.LabelSelector{MatchLabels: map[string]string{"zone": "a"}},
		Capacity:         &size,
	}
	for _, change := range changes {
		change(o)
	}
	return o
}

func foreign(o *storagev1.CSIStorageCapacity) { o.Labels[names.CapacityManagedBy] = "somebody" }
func otherDriver(o *storagev1.CSIStorageCapacity) {
	o.Labels[names.CapacityDriver] = "other.csi.example"
}
func ending(o *storagev1.CSIStorageCapacity) { o.DeletionTimestamp = &metav1.Time{} }
