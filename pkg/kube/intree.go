package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	csitranslation "k8s.io/csi-translation-lib"
	"k8s.io/klog/v2"
)

// InTree shows volumes of an in-tree plugin as those of the CSI driver that has
// taken the plugin's place (CSI migration).
type InTree struct {
	driver     string
	translator csitranslation.CSITranslator
}

// NewInTree returns the translation for one driver.
func NewInTree(driver string) *InTree {
	return &InTree{driver: driver, translator: csitranslation.New()}
}

// AsCSI returns a volume of the plugin that the driver has taken the place of as
// it would be if the driver had made it, and every other volume as it is. Only the
// volume's own source decides: annotations are for anybody to write. The argument
// is not changed.
func (t *InTree) AsCSI(ctx context.Context, volume *corev1.PersistentVolume) (*corev1.PersistentVolume, error) {
	if volume.Spec.CSI != nil || !t.translator.IsPVMigratable(volume) {
		return volume, nil
	}
	plugin, err := t.translator.GetInTreePluginNameFromSpec(volume, nil)
	if err != nil {
		return nil, fmt.Errorf("finding the in-tree plugin of PersistentVolume %q: %w", volume.Name, err)
	}
	driver, err := t.translator.GetCSINameFromInTreeName(plugin)
	if err != nil || driver != t.driver {
		return volume, err
	}
	translated, err := t.translator.TranslateInTreePVToCSI(klog.FromContext(ctx), volume.DeepCopy())
	if err != nil {
		return nil, fmt.Errorf("translating PersistentVolume %q of the in-tree plugin %s for CSI driver %q: %w", volume.Name, plugin, driver, err)
	}
	return translated, nil
}
