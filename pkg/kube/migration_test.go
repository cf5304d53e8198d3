package kube

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

const (
	diskDriver = "pd.csi.storage.gke.io"
	diskPlugin = "kubernetes.io/gce-pd"
	diskHandle = "projects/p/zones/z-a/disks/d"
)

// made is a volume that the driver has made for a class of the plugin.
func made(handle string) *corev1.PersistentVolume {
	v := owned("1", handle)
	v.Spec.CSI.Driver = diskDriver
	v.Annotations = map[string]string{names.ProvisionedBy: diskPlugin}
	return v
}

func TestPlugin(t *testing.T) {
	for driver, want := range map[string]string{
		"ebs.csi.aws.com": "kubernetes.io/aws-ebs", "disk.csi.azure.com": "kubernetes.io/azure-disk",
		"file.csi.azure.com": "kubernetes.io/azure-file", diskDriver: diskPlugin,
		"cinder.csi.openstack.org": "kubernetes.io/cinder", "pxd.portworx.com": "kubernetes.io/portworx-volume",
		"csi.vsphere.vmware.com": "kubernetes.io/vsphere-volume", driverName: "", diskPlugin: "",
	} {
		if got := NewInTree(driver).Plugin(); got != want {
			t.Errorf("the plugin of %s is %q, want %q", driver, got, want)
		}
	}
	if got := (*InTree)(nil).Plugin(); got != "" {
		t.Errorf("the plugin of no driver is %q", got)
	}
}

func TestClassOfPlugin(t *testing.T) {
	class := &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "disks"}, Provisioner: diskPlugin,
		Parameters: map[string]string{"fstype": "xfs", "zone": "z-a"},
	}
	before := class.DeepCopy()
	got, err := NewInTree(diskDriver).Class(t.Context(), class)
	if err != nil {
		t.Fatal(err)
	}
	want := before.DeepCopy()
	want.Parameters = map[string]string{"csi.storage.k8s.io/fstype": "xfs"}
	want.AllowedTopologies = []corev1.TopologySelectorTerm{{
		MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: "topology.gke.io/zone", Values: []string{"z-a"}}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("translated (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, class); diff != "" {
		t.Errorf("the argument was changed (-before +after):\n%s", diff)
	}
	for _, driver := range []string{driverName, "ebs.csi.aws.com"} {
		if got, err := NewInTree(driver).Class(t.Context(), class); err != nil || got != class {
			t.Errorf("for %s it is %v, %v, want as it was", driver, got, err)
		}
	}
	class.AllowedTopologies = want.AllowedTopologies
	if _, err := NewInTree(diskDriver).Class(t.Context(), class); err == nil || !strings.Contains(err.Error(), `translating StorageClass "disks" of the in-tree plugin kubernetes.io/gce-pd`) {
		t.Errorf("zone and allowedTopologies: %v", err)
	}
}

func TestStoreOfMigratedVolume(t *testing.T) {
	client := fake.NewClientset()
	volumes := NewVolumes(client, NewInTree(diskDriver))
	if err := volumes.Store(t.Context(), made(diskHandle)); err != nil {
		t.Fatal(err)
	}
	stored, err := volumes.Get(t.Context(), "pvc-1")
	if err != nil {
		t.Fatal(err)
	}
	if disk := stored.Spec.GCEPersistentDisk; stored.Spec.CSI != nil || disk == nil || disk.PDName != "d" {
		t.Errorf("stored is %+v", stored.Spec.PersistentVolumeSource)
	}
	if stored.Annotations[names.ProvisionedBy] != diskPlugin || stored.Spec.ClaimRef.UID != "1" {
		t.Errorf("stored is %+v", stored)
	}
	if NewInTree(diskDriver).PluginOf(stored) != diskPlugin || NewInTree("ebs.csi.aws.com").PluginOf(stored) != "" {
		t.Error("what was stored is not recognised, or by another driver")
	}
	// The driver's own classes have nothing to do with the plugin.
	own := made(diskHandle)
	own.Name, own.Annotations[names.ProvisionedBy] = "pvc-2", diskDriver
	if err := volumes.Store(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	if stored, err := volumes.Get(t.Context(), "pvc-2"); err != nil || stored.Spec.CSI == nil {
		t.Errorf("stored is %+v, %v", stored, err)
	}
}

func TestMigratedVolumeThatExists(t *testing.T) {
	inTree := NewInTree("ebs.csi.aws.com")
	of := func(claim, id string) *corev1.PersistentVolume {
		v := made(id)
		v.Spec.CSI.Driver, v.Annotations[names.ProvisionedBy] = "ebs.csi.aws.com", inTree.Plugin()
		v.Spec.ClaimRef.UID = "1"
		if claim != "" {
			v.Spec.ClaimRef.UID = "other"
		}
		return v
	}
	store := func(existing *corev1.PersistentVolume) error {
		client := fake.NewClientset()
		if err := NewVolumes(client, inTree).Store(t.Context(), existing); err != nil {
			t.Fatal(err)
		}
		return NewVolumes(client, inTree).Store(t.Context(), of("", "vol-1"))
	}
	if err := store(of("", "vol-1")); err != nil {
		t.Errorf("the same volume of the same claim: %v", err)
	}
	var taken *TakenError
	if err := store(of("", "vol-2")); !errors.As(err, &taken) || SameVolume(taken.Volume, of("", "vol-1")) {
		t.Errorf("another volume: %v", err)
	}
	if err := store(of("other", "vol-1")); !errors.As(err, &taken) || !SameVolume(taken.Volume, of("", "vol-1")) {
		t.Errorf("the same volume of another claim: %v", err)
	}
}

// TestVolumeThatIsNoneOfThePlugin: there is no use in a volume whose handle the
// plugin can't express.
func TestVolumeThatIsNoneOfThePlugin(t *testing.T) {
	client := fake.NewClientset()
	err := NewVolumes(client, NewInTree(diskDriver)).Store(t.Context(), made("just-a-name"))
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), `translating volume "just-a-name" of CSI driver "pd.csi.storage.gke.io" for the in-tree plugin kubernetes.io/gce-pd`) {
		t.Errorf("Store: %v", err)
	}
	if actions := client.Actions(); len(actions) > 0 {
		t.Errorf("the API server was asked: %v", actions)
	}
}

// TestTopologyThatIsNoneOfThePlugin: the library prints the whole volume then, which
// has no place in an event.
func TestTopologyThatIsNoneOfThePlugin(t *testing.T) {
	volume := made(diskHandle)
	volume.Spec.CSI.VolumeAttributes = map[string]string{"long": "attribute"}
	volume.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "host", Operator: corev1.NodeSelectorOpIn, Values: []string{"n1"}}},
	}}}}
	_, err := NewInTree(diskDriver).AsStored(volume)
	want := `translating volume "projects/p/zones/z-a/disks/d" of CSI driver "pd.csi.storage.gke.io" for the in-tree plugin kubernetes.io/gce-pd: failed to translate topology. Failed to handle region topology. error: no zones specified`
	if err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
}

// TestTrimKeepsMigratedVolumes: the source alone says that it is the driver's, until
// kube-controller-manager has annotated it.
func TestTrimKeepsMigratedVolumes(t *testing.T) {
	stored, err := NewInTree(diskDriver).AsStored(made(diskHandle))
	if err != nil {
		t.Fatal(err)
	}
	for driver, kept := range map[string]bool{diskDriver: true, "ebs.csi.aws.com": false, driverName: false} {
		trimmed, err := trimVolume(driver, NewInTree(driver))(stored.DeepCopy())
		if err != nil {
			t.Fatal(err)
		}
		if got := trimmed.(*corev1.PersistentVolume).Spec.GCEPersistentDisk != nil; got != kept {
			t.Errorf("for %s it is kept: %t, want %t", driver, got, kept)
		}
	}
}
