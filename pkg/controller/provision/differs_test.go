package provision

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// TestWhichChangesOfAClassCount: claims that wait for their class are woken, and the
// pause after an infeasible request ends, only when it asks for something else.
func TestWhichChangesOfAClassCount(t *testing.T) {
	of := func() *storagev1.StorageClass {
		class := &storagev1.StorageClass{Provisioner: driverName, Parameters: map[string]string{"tier": "gold"}}
		class.Name, class.UID = "fast", "1"
		return class
	}
	for name, c := range map[string]struct {
		change func(*storagev1.StorageClass)
		want   bool
	}{
		"nothing":        {func(*storagev1.StorageClass) {}, false},
		"metadata":       {func(c *storagev1.StorageClass) { c.ResourceVersion, c.Labels = "2", map[string]string{"a": "b"} }, false},
		"finalizers":     {func(c *storagev1.StorageClass) { c.Finalizers = []string{"a"} }, false},
		"is replaced":    {func(c *storagev1.StorageClass) { c.UID = "2" }, true},
		"parameters":     {func(c *storagev1.StorageClass) { c.Parameters["tier"] = "silver" }, true},
		"mount options":  {func(c *storagev1.StorageClass) { c.MountOptions = []string{"ro"} }, true},
		"topologies":     {func(c *storagev1.StorageClass) { c.AllowedTopologies = []corev1.TopologySelectorTerm{{}} }, true},
		"reclaim policy": {func(c *storagev1.StorageClass) { p := corev1.PersistentVolumeReclaimRetain; c.ReclaimPolicy = &p }, true},
	} {
		now := of()
		c.change(now)
		if got := ClassDiffers(of(), now); got != c.want {
			t.Errorf("%s: ClassDiffers = %t, want %t", name, got, c.want)
		}
	}
	if !ClassDiffers(nil, of()) {
		t.Error("a class that appears does not count")
	}
}

func TestWhichChangesOfAttributesCount(t *testing.T) {
	of := func() *storagev1.VolumeAttributesClass {
		class := &storagev1.VolumeAttributesClass{DriverName: driverName, Parameters: map[string]string{"iops": "100"}}
		class.Name, class.UID = "gold", "1"
		return class
	}
	for name, c := range map[string]struct {
		change func(*storagev1.VolumeAttributesClass)
		want   bool
	}{
		"nothing":      {func(*storagev1.VolumeAttributesClass) {}, false},
		"is protected": {func(c *storagev1.VolumeAttributesClass) { c.ResourceVersion, c.Finalizers = "2", []string{"a"} }, false},
		"is replaced":  {func(c *storagev1.VolumeAttributesClass) { c.UID = "2" }, true},
		"parameters":   {func(c *storagev1.VolumeAttributesClass) { c.Parameters["iops"] = "10" }, true},
		"driver":       {func(c *storagev1.VolumeAttributesClass) { c.DriverName = "other.example" }, true},
	} {
		now := of()
		c.change(now)
		if got := AttributesDiffer(of(), now); got != c.want {
			t.Errorf("%s: AttributesDiffer = %t, want %t", name, got, c.want)
		}
	}
	if !AttributesDiffer(nil, of()) {
		t.Error("a class that appears does not count")
	}
}
