package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/inventory"
)

// Flaw is a way in which something is wrong at rest.
type Flaw string

// The flaws.
const (
	// Lost is a volume of the driver that has no PersistentVolume.
	Lost Flaw = "lost"
	// Gone is a PersistentVolume whose volume the driver does not have.
	Gone Flaw = "gone"
	// Doubled is a claim with two volumes, or a volume with two PersistentVolumes.
	Doubled Flaw = "doubled"
	// Unbound is a claim that should be bound and is not.
	Unbound Flaw = "unbound"
	// Undeleted is a claim, or a PersistentVolume to be deleted, that does not go
	// away.
	Undeleted Flaw = "undeleted"
	// Intent is a batch of the journal that is left.
	Intent Flaw = "intent left"
	// Tampered is a batch that was forged, and of which the sidecar has dropped records.
	Tampered Flaw = "forged record taken up"
	// WrongSize is a volume whose size is not what the claim asks for everywhere, or
	// whose expansion has not ended.
	WrongSize Flaw = "wrong size"
	// WrongAttributes is a volume that does not have the parameters of its
	// VolumeAttributesClass, or whose modification has not ended.
	WrongAttributes Flaw = "wrong attributes"
	// Revealed is a Secret's value in a log or in a write to the API server.
	Revealed Flaw = "secret revealed"
)

// Flaws returns all flaws.
func Flaws() []Flaw {
	return []Flaw{Lost, Gone, Doubled, Unbound, Undeleted, Intent, Tampered, WrongSize, WrongAttributes, Revealed}
}

// A Breach is a flaw that was found.
type Breach struct {
	Flaw Flaw
	// Subject is the name of the object, or of the driver's volume.
	Subject string
	Detail  string
}

func (b Breach) String() string { return fmt.Sprintf("%s: %s: %s", b.Flaw, b.Subject, b.Detail) }

// An Observation is what there is of one driver.
type Observation struct {
	inventory.Inventory
	// Attributes are the parameters of the VolumeAttributesClasses.
	Attributes map[string]map[string]string
}

// Check returns all that is wrong in what should be at rest: nobody asks for
// anything any more, all programs are well, and time has passed.
func Check(seen Observation) []Breach {
	var breaches []Breach
	breaches = append(breaches, checkHandles(seen)...)
	breaches = append(breaches, checkOwners(seen)...)
	breaches = append(breaches, checkPersistent(seen)...)
	breaches = append(breaches, checkClaims(seen)...)
	for _, batch := range seen.Batches {
		if strings.HasPrefix(batch, forgedPrefix) {
			continue
		}
		breaches = append(breaches, Breach{Intent, batch, "the journal should be empty"})
	}
	slices.SortFunc(breaches, func(a, b Breach) int { return strings.Compare(a.String(), b.String()) })
	return breaches
}

// checkHandles compares the driver's volumes with the PersistentVolumes.
func checkHandles(seen Observation) []Breach {
	var breaches []Breach
	byHandle := map[string][]string{}
	for _, persistent := range seen.PersistentVolumes {
		handle := persistent.Spec.CSI.VolumeHandle
		byHandle[handle] = append(byHandle[handle], persistent.Name)
	}
	for _, volume := range seen.Volumes {
		switch owners := byHandle[volume.ID]; len(owners) {
		case 0:
			breaches = append(breaches, Breach{Lost, volume.Name, "volume " + volume.ID + " has no PersistentVolume"})
		case 1:
		default:
			breaches = append(breaches, Breach{Doubled, volume.Name, fmt.Sprintf("volume %s has the PersistentVolumes %v", volume.ID, owners)})
		}
		delete(byHandle, volume.ID)
	}
	for _, handle := range slices.Sorted(maps.Keys(byHandle)) {
		for _, name := range byHandle[handle] {
			breaches = append(breaches, Breach{Gone, name, "its volume " + handle + " does not exist"})
		}
	}
	return breaches
}

// checkOwners finds claims with several volumes: the driver's, whose names hold the
// claim's UID, and PersistentVolumes.
func checkOwners(seen Observation) []Breach {
	atDriver, inCluster := map[string][]string{}, map[string][]string{}
	for _, volume := range seen.Volumes {
		atDriver[volume.Name] = append(atDriver[volume.Name], volume.ID)
	}
	for _, persistent := range seen.PersistentVolumes {
		if ref := persistent.Spec.ClaimRef; ref != nil {
			claim := fmt.Sprintf("%s/%s (uid %s)", ref.Namespace, ref.Name, ref.UID)
			inCluster[claim] = append(inCluster[claim], persistent.Name)
		}
	}
	var breaches []Breach
	for _, found := range []map[string][]string{atDriver, inCluster} {
		for _, owner := range slices.Sorted(maps.Keys(found)) {
			if len(found[owner]) > 1 {
				breaches = append(breaches, Breach{Doubled, owner, fmt.Sprintf("has the volumes %v", found[owner])})
			}
		}
	}
	return breaches
}

// checkPersistent finds PersistentVolumes that should have been deleted.
func checkPersistent(seen Observation) []Breach {
	var breaches []Breach
	for _, persistent := range seen.PersistentVolumes {
		bound := persistent.Status.Phase == corev1.VolumeBound && persistent.DeletionTimestamp == nil
		if !bound && persistent.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
			breaches = append(breaches, Breach{Undeleted, persistent.Name, fmt.Sprintf("PersistentVolume is %s, for %s", persistent.Status.Phase, owner(persistent))})
		}
	}
	return breaches
}

func owner(persistent corev1.PersistentVolume) string {
	if ref := persistent.Spec.ClaimRef; ref != nil {
		return "claim " + ref.Namespace + "/" + ref.Name
	}
	return "no claim"
}
