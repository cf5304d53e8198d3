package deletion_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller/deletion"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

const (
	diskDriver = "pd.csi.storage.gke.io"
	diskPlugin = "kubernetes.io/gce-pd"
)

// newMigratedWorld has a volume of the in-tree plugin whose place the driver has
// taken.
func newMigratedWorld(t *testing.T, change func(*corev1.PersistentVolume)) *world {
	t.Helper()
	w := newWorld(t, func(v *corev1.PersistentVolume) {
		v.Annotations[names.ProvisionedBy] = diskPlugin
		v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{
			GCEPersistentDisk: &corev1.GCEPersistentDiskVolumeSource{PDName: "disk"},
		}
		v.Labels = map[string]string{"topology.kubernetes.io/zone": "z-a"}
		if change != nil {
			change(v)
		}
	})
	w.deps.InTree, w.config.Driver = kube.NewInTree(diskDriver), diskDriver
	w.subject = deletion.New(w.deps, w.config)
	return w
}

func TestMigratedVolumeIsDeleted(t *testing.T) {
	w := newMigratedWorld(t, nil)
	w.succeed()
	w.expectCalls("Secret vault/admin", "DeleteVolume projects/UNSPECIFIED/zones/z-a/disks/disk", "RemoveFinalizer pv-1", "Delete pv-1 uid-1")
	if !w.migrated {
		t.Error("the call does not count as one for an in-tree volume")
	}
}

func TestMigratedVolumeIsProtected(t *testing.T) {
	w := newMigratedWorld(t, func(v *corev1.PersistentVolume) { unprotected(v); bound(v) })
	w.succeed()
	w.expectCalls("AddFinalizer pv-1")
	w = newMigratedWorld(t, retained)
	w.succeed()
	w.expectCalls("RemoveFinalizer pv-1")
}

func TestWhichInTreeVolumesAreDeleted(t *testing.T) {
	for name, c := range map[string]struct {
		annotations map[string]string
		want        bool
	}{
		"provisioned by the plugin":          {map[string]string{names.ProvisionedBy: diskPlugin}, true},
		"noted as migrated":                  {map[string]string{names.ProvisionedBy: diskPlugin, names.MigratedTo: diskDriver}, true},
		"provisioned by the driver":          {map[string]string{names.ProvisionedBy: diskDriver}, true},
		"made by hand":                       {nil, false},
		"made by hand, noted as migrated":    {map[string]string{names.MigratedTo: diskDriver}, true},
		"provisioned by another":             {map[string]string{names.ProvisionedBy: "other.example"}, false},
		"noted as migrated to another":       {map[string]string{names.ProvisionedBy: "other.example", names.MigratedTo: "x"}, false},
		"of another, but noted as migrated":  {map[string]string{names.ProvisionedBy: "other.example", names.MigratedTo: diskDriver}, true},
		"of the plugin, migrated to another": {map[string]string{names.ProvisionedBy: diskPlugin, names.MigratedTo: "x"}, true},
	} {
		w := newMigratedWorld(t, func(v *corev1.PersistentVolume) { v.Annotations = c.annotations })
		if _, err := w.reconcile(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := len(w.calls) > 0; got != c.want {
			t.Errorf("%s: is deleted: %t (%q), want %t", name, got, w.calls, c.want)
		}
		if volume, err := w.deps.Volumes.Get("pv-1"); err != nil || !w.subject.Wants(volume) {
			t.Errorf("%s: it is not looked at (%v)", name, err)
		}
	}
}

// TestSecretOfMigratedClass: a volume without annotations takes the secret of its
// class, which is translated first.
func TestSecretOfMigratedClass(t *testing.T) {
	w := newMigratedWorld(t, func(v *corev1.PersistentVolume) { v.Annotations = map[string]string{names.ProvisionedBy: diskPlugin} })
	w.put(w.classes, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: diskPlugin,
		Parameters: map[string]string{
			"csi.storage.k8s.io/provisioner-secret-name": "${pv.name}", "csi.storage.k8s.io/provisioner-secret-namespace": "vault",
		},
	})
	w.succeed()
	if len(w.calls) == 0 || w.calls[0] != "Secret vault/pv-1" {
		t.Errorf("the calls are %q", w.calls)
	}
}

// TestUntranslatableVolume is reported once it is due, and not before.
func TestUntranslatableVolume(t *testing.T) {
	broken := func(v *corev1.PersistentVolume) {
		v.Labels = map[string]string{"topology.kubernetes.io/zone": "a__b"}
	}
	w := newMigratedWorld(t, broken)
	if _, err := w.reconcile(); err == nil || len(w.events) != 1 {
		t.Errorf("the error is %v, the events are %q", err, w.events)
	}
	w = newMigratedWorld(t, func(v *corev1.PersistentVolume) { broken(v); bound(v) })
	if _, err := w.reconcile(); err == nil || len(w.events) > 0 {
		t.Errorf("the error is %v, the events are %q", err, w.events)
	}
}
