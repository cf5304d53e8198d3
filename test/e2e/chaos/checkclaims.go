package chaos

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// trio is a claim with its volume, as all three sides tell it.
type trio struct {
	claim      corev1.PersistentVolumeClaim
	persistent corev1.PersistentVolume
	volume     control.Volume
}

// checkClaims checks that claims are bound, or gone, and that their volumes are
// what they ask for.
func checkClaims(seen Observation) []Breach {
	persistent := map[string]corev1.PersistentVolume{}
	for _, one := range seen.PersistentVolumes {
		persistent[one.Name] = one
	}
	volumes := map[string]control.Volume{}
	for _, one := range seen.Volumes {
		volumes[one.ID] = one
	}
	var breaches []Breach
	for _, claim := range seen.Claims {
		name := claim.Namespace + "/" + claim.Name
		if claim.DeletionTimestamp != nil {
			breaches = append(breaches, Breach{Undeleted, name, fmt.Sprintf("claim is being deleted since %s", claim.DeletionTimestamp.UTC())})
			continue
		}
		found, ok := persistent[claim.Spec.VolumeName]
		if !ok || claim.Status.Phase != corev1.ClaimBound {
			breaches = append(breaches, Breach{Unbound, name, fmt.Sprintf("claim is %s, with the volume %q", claim.Status.Phase, claim.Spec.VolumeName)})
			continue
		}
		volume, ok := volumes[found.Spec.CSI.VolumeHandle]
		if !ok {
			continue // that the volume is gone has been found already
		}
		t := trio{claim, found, volume}
		if why := t.size(); why != "" {
			breaches = append(breaches, Breach{WrongSize, name, why})
		}
		if why := t.attributes(seen.Attributes); why != "" {
			breaches = append(breaches, Breach{WrongAttributes, name, why})
		}
	}
	return breaches
}

// size says what is wrong with the volume's size.
func (t trio) size() string {
	asked := t.claim.Spec.Resources.Requests[corev1.ResourceStorage]
	told := t.claim.Status.Capacity[corev1.ResourceStorage]
	kept := t.persistent.Spec.Capacity[corev1.ResourceStorage]
	if has := t.volume.CapacityBytes; has != asked.Value() || has != told.Value() || has != kept.Value() {
		return fmt.Sprintf("the claim asks for %d bytes and says %d, its PersistentVolume says %d, the driver has %d", asked.Value(), told.Value(), kept.Value(), has)
	}
	for resource, status := range t.claim.Status.AllocatedResourceStatuses {
		return fmt.Sprintf("the expansion, %s, has not ended: %s", resource, status)
	}
	for _, condition := range t.claim.Status.Conditions {
		switch condition.Type {
		case corev1.PersistentVolumeClaimResizing, corev1.PersistentVolumeClaimFileSystemResizePending:
			return fmt.Sprintf("the expansion has not ended: the claim has the condition %s", condition.Type)
		}
	}
	return ""
}

// attributes says what is wrong with the volume's VolumeAttributesClass.
func (t trio) attributes(classes map[string]map[string]string) string {
	asked := text(t.claim.Spec.VolumeAttributesClassName)
	told, kept := text(t.claim.Status.CurrentVolumeAttributesClassName), text(t.persistent.Spec.VolumeAttributesClassName)
	if asked != told || asked != kept {
		return fmt.Sprintf("the claim asks for %q and says %q, its PersistentVolume says %q", asked, told, kept)
	}
	if status := t.claim.Status.ModifyVolumeStatus; status != nil {
		return fmt.Sprintf("modifying to %q has not ended: %s", status.TargetVolumeAttributesClassName, status.Status)
	}
	for key, value := range classes[asked] {
		if has := t.volume.MutableParameters[key]; has != value {
			return fmt.Sprintf("class %q sets %s to %q, the driver has %q", asked, key, value, has)
		}
	}
	return ""
}

func text(pointer *string) string {
	if pointer == nil {
		return ""
	}
	return *pointer
}
