package kube

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	csitranslation "k8s.io/csi-translation-lib"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// InTree shows classes and volumes of an in-tree plugin as those of the CSI driver
// that has taken the plugin's place (CSI migration), and volumes of the driver as
// those of the plugin. A nil one knows no plugin.
type InTree struct {
	driver, plugin string
	translator     csitranslation.CSITranslator
}

// NewInTree returns the translation for one driver.
func NewInTree(driver string) *InTree {
	t := &InTree{driver: driver, translator: csitranslation.New()}
	if t.translator.IsMigratedCSIDriverByName(driver) {
		// It is in the same table.
		t.plugin, _ = t.translator.GetInTreeNameFromCSIName(driver)
	}
	return t
}

// DriverOf returns the driver that makes the volumes of classes with that provisioner:
// the provisioner itself, or the one that has taken the place of the in-tree plugin.
func DriverOf(provisioner string) string {
	if driver, err := csitranslation.New().GetCSINameFromInTreeName(provisioner); err == nil && driver != "" {
		return driver
	}
	return provisioner
}

// Plugin returns the name of the plugin whose place the driver has taken, such as
// kubernetes.io/aws-ebs; empty for a driver that has taken none's.
func (t *InTree) Plugin() string {
	if t == nil {
		return ""
	}
	return t.plugin
}

// PluginOf returns [InTree.Plugin] for a volume that is the plugin's, and else
// nothing. Only the volume's own source decides: annotations are for anybody to
// write.
func (t *InTree) PluginOf(volume *corev1.PersistentVolume) string {
	if t.Plugin() == "" || volume.Spec.CSI != nil {
		return ""
	}
	if plugin, err := t.translator.GetInTreePluginNameFromSpec(volume, nil); err != nil || plugin != t.plugin {
		return ""
	}
	return t.plugin
}

// AsCSI returns a volume of the plugin as it would be if the driver had made it,
// and every other volume as it is. The argument is not changed.
func (t *InTree) AsCSI(ctx context.Context, volume *corev1.PersistentVolume) (*corev1.PersistentVolume, error) {
	if t.PluginOf(volume) == "" {
		return volume, nil
	}
	translated, err := t.translator.TranslateInTreePVToCSI(klog.FromContext(ctx), volume)
	if err != nil {
		return nil, fmt.Errorf("translating PersistentVolume %q of the in-tree plugin %s for CSI driver %q: %w", volume.Name, t.plugin, t.driver, err)
	}
	return translated, nil
}

// AsStored returns a volume of the driver as it is stored: one that the plugin has
// provisioned, as its annotation says, with the plugin's source, and every other
// as it is. The argument is not changed.
func (t *InTree) AsStored(volume *corev1.PersistentVolume) (*corev1.PersistentVolume, error) {
	if t.Plugin() == "" || volume.Spec.CSI == nil || volume.Annotations[names.ProvisionedBy] != t.plugin {
		return volume, nil
	}
	translated, err := t.translator.TranslateCSIPVToInTree(volume)
	if err != nil {
		return nil, fmt.Errorf("translating volume %q of CSI driver %q for the in-tree plugin %s: %s", volume.Spec.CSI.VolumeHandle, t.driver, t.plugin, withoutVolume(err))
	}
	return translated, nil
}

// withoutVolume returns what the library says, without the whole PersistentVolume,
// which it may print in the middle.
func withoutVolume(err error) string {
	const end = "}. Error:"
	what, rest, printed := strings.Cut(err.Error(), " PV:{")
	if at := strings.LastIndex(rest, end); printed && at >= 0 {
		return what + " " + rest[at+len(end):]
	}
	return err.Error()
}

// Class returns a class of the plugin with the parameters and topologies that the
// driver understands, and every other class as it is. It keeps its provisioner. The
// argument is not changed.
func (t *InTree) Class(ctx context.Context, class *storagev1.StorageClass) (*storagev1.StorageClass, error) {
	if t.Plugin() == "" || class.Provisioner != t.plugin {
		return class, nil
	}
	translated, err := t.translator.TranslateInTreeStorageClassToCSI(klog.FromContext(ctx), t.plugin, class)
	if err != nil {
		return nil, fmt.Errorf("translating StorageClass %q of the in-tree plugin %s for CSI driver %q: %w", class.Name, t.plugin, t.driver, err)
	}
	return translated, nil
}
