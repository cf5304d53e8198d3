package provision

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

const (
	diskDriver = "ebs.csi.aws.com"
	diskPlugin = "kubernetes.io/aws-ebs"
)

// newMigratedWorld has a driver that has taken the place of an in-tree plugin, and a
// claim for a class of that plugin.
func newMigratedWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.c.deps.InTree = kube.NewInTree(diskDriver)
	w.c.config.Driver.Name, w.c.config.Driver.InTreePlugin = diskDriver, diskPlugin
	w.setClass(func(class *storagev1.StorageClass) {
		class.Provisioner = diskPlugin
		class.Parameters["fstype"] = "xfs"
	})
	w.setClaim(func(claim *corev1.PersistentVolumeClaim) { claim.Annotations[names.StorageProvisioner] = diskDriver })
	return w
}

// TestMigratedClass: the driver gets the parameters that it knows, the call counts
// as migrated, and the volume is handed to the store as the plugin's.
func TestMigratedClass(t *testing.T) {
	w := newMigratedWorld(t)
	w.works()
	w.calls("create gold")
	if got := w.driver.requests[0].GetVolumeCapabilities()[0].GetMount().GetFsType(); got != "xfs" {
		t.Errorf("the driver is asked for the file system %q", got)
	}
	if _, untranslated := w.driver.requests[0].GetParameters()["fstype"]; untranslated {
		t.Error("the driver gets the plugin's parameter fstype")
	}
	if got := fmt.Sprint(w.driver.migrated); got != "[true]" {
		t.Errorf("the calls count as migrated: %s", got)
	}
	if stored := w.store.volumes[volumeName]; stored == nil || stored.Annotations[names.ProvisionedBy] != diskPlugin || stored.Spec.CSI.Driver != diskDriver {
		t.Errorf("stored is %+v", stored)
	}
	w.idle()
}

func TestClassOfTheDriverIsNotMigrated(t *testing.T) {
	w := newMigratedWorld(t)
	w.setClass(func(class *storagev1.StorageClass) { class.Provisioner = diskDriver })
	w.works()
	if got := fmt.Sprint(w.driver.migrated); got != "[false]" {
		t.Errorf("the calls count as migrated: %s", got)
	}
}

// TestMigratedVolumeOfAnotherProcess: what was begun before a crash is finished as
// migrated, although the class has gone.
func TestMigratedVolumeOfAnotherProcess(t *testing.T) {
	w := newMigratedWorld(t)
	w.driver.answers = []answer{failsWith(codes.Unavailable)}
	w.fails("Unavailable")
	w.crash()
	w.must(w.classes.Delete(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}}))
	w.works()
	w.sameRequests()
	if got := fmt.Sprint(w.driver.migrated); got != "[true true]" {
		t.Errorf("the calls count as migrated: %s", got)
	}
	if stored := w.store.volumes[volumeName]; stored == nil || stored.Annotations[names.ProvisionedBy] != diskPlugin {
		t.Errorf("stored is %+v", stored)
	}
	w.idle()
}

// TestVolumeThatThePluginCanNotExpress is deleted again, and the claim told.
func TestVolumeThatThePluginCanNotExpress(t *testing.T) {
	w := newMigratedWorld(t)
	w.store.errs = []error{fmt.Errorf("storing: %w: translating", kube.ErrRefused)}
	w.fails("translating")
	w.calls("create gold", "delete h-"+volumeName)
	if got := fmt.Sprint(w.driver.migrated); got != "[true true]" {
		t.Errorf("the calls count as migrated: %s", got)
	}
	w.atDriver(0)
	w.idle()
}

func TestUntranslatableClass(t *testing.T) {
	w := newMigratedWorld(t)
	w.setClass(func(class *storagev1.StorageClass) {
		class.Provisioner = diskPlugin
		class.Parameters["zone"] = "a"
		class.AllowedTopologies = []corev1.TopologySelectorTerm{{}}
	})
	w.waitsFor(w.fails(`translating StorageClass "fast" of the in-tree plugin kubernetes.io/aws-ebs`), dependencies()...)
	w.calls()
	w.setClass(func(class *storagev1.StorageClass) { class.Provisioner = diskPlugin })
	w.works()
}

func TestWantsMigratedClaims(t *testing.T) {
	driver := plan.Driver{Name: diskDriver, InTreePlugin: diskPlugin}
	claim := func(annotations map[string]string) *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{}
		c.Annotations = annotations
		return c
	}
	for name, c := range map[string]struct {
		annotations map[string]string
		want        bool
	}{
		"given to the driver":         {map[string]string{names.StorageProvisioner: diskDriver}, true},
		"migrated":                    {map[string]string{names.StorageProvisioner: diskPlugin, names.MigratedTo: diskDriver}, true},
		"of the plugin":               {map[string]string{names.StorageProvisioner: diskPlugin}, false},
		"migrated to another":         {map[string]string{names.StorageProvisioner: diskPlugin, names.MigratedTo: driverName}, false},
		"another's, says it migrated": {map[string]string{names.StorageProvisioner: driverName, names.MigratedTo: diskDriver}, false},
		"of nobody, says it migrated": {map[string]string{names.MigratedTo: diskDriver}, false},
	} {
		if got := Wants(driver, nil, claim(c.annotations)); got != c.want {
			t.Errorf("%s: Wants = %t, want %t", name, got, c.want)
		}
	}
}
