package chaos

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/inventory"
)

// sound is a driver with a bound claim, its volume and its class, and a volume that
// is retained.
func sound() Observation {
	attributes := "l-gold"
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	persistent := func(name, handle, claim string, phase corev1.PersistentVolumePhase, policy corev1.PersistentVolumeReclaimPolicy) corev1.PersistentVolume {
		return corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: corev1.PersistentVolumeSpec{
				Capacity:                      size.DeepCopy(),
				ClaimRef:                      &corev1.ObjectReference{Namespace: "l", Name: claim, UID: "uid-of-" + "x"},
				PersistentVolumeReclaimPolicy: policy,
				VolumeAttributesClassName:     &attributes,
				PersistentVolumeSource: corev1.PersistentVolumeSource{
					CSI: &corev1.CSIPersistentVolumeSource{Driver: "l.example", VolumeHandle: handle},
				},
			},
			Status: corev1.PersistentVolumeStatus{Phase: phase},
		}
	}
	all := inventory.Inventory{
		Volumes: []control.Volume{
			{ID: "vol-1", Name: "pvc-1", CapacityBytes: 1 << 30, MutableParameters: map[string]string{"tier": "gold"}},
			{ID: "vol-2", Name: "pvc-2", CapacityBytes: 1 << 30},
		},
		PersistentVolumes: []corev1.PersistentVolume{
			persistent("pv-1", "vol-1", "bound", corev1.VolumeBound, corev1.PersistentVolumeReclaimDelete),
			persistent("pv-2", "vol-2", "deleted", corev1.VolumeReleased, corev1.PersistentVolumeReclaimRetain),
		},
		Claims: []corev1.PersistentVolumeClaim{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "l", Name: "bound"},
			Spec: corev1.PersistentVolumeClaimSpec{
				VolumeName:                "pv-1",
				Resources:                 corev1.VolumeResourceRequirements{Requests: size.DeepCopy()},
				VolumeAttributesClassName: &attributes,
			},
			Status: corev1.PersistentVolumeClaimStatus{
				Phase:                            corev1.ClaimBound,
				Capacity:                         size.DeepCopy(),
				CurrentVolumeAttributesClassName: &attributes,
			},
		}},
	}
	return Observation{Inventory: all, Attributes: map[string]map[string]string{"l-gold": {"tier": "gold"}}}
}

func TestCheckFindsNothingWrong(t *testing.T) {
	t.Parallel()
	if breaches := Check(sound()); len(breaches) > 0 {
		t.Errorf("found %v", breaches)
	}
}

func TestCheckFindsEachFlaw(t *testing.T) {
	t.Parallel()
	two := resource.MustParse("2Gi")
	silver := "l-silver"
	for name, c := range map[string]struct {
		spoil   func(*Observation)
		flaw    Flaw
		subject string
	}{
		"volume without PersistentVolume": {func(o *Observation) {
			o.Volumes = append(o.Volumes, control.Volume{ID: "vol-3", Name: "pvc-3"})
		}, Lost, "pvc-3"},
		"PersistentVolume without volume": {func(o *Observation) { o.Volumes = o.Volumes[1:] }, Gone, "pv-1"},
		"claim with two at the driver": {func(o *Observation) {
			o.Volumes[1].Name = "pvc-1"
		}, Doubled, "pvc-1"},
		"claim with two PersistentVolumes": {func(o *Observation) {
			o.PersistentVolumes[1].Spec.ClaimRef = o.PersistentVolumes[0].Spec.ClaimRef
		}, Doubled, "l/bound (uid uid-of-x)"},
		"volume with two PersistentVolumes": {func(o *Observation) {
			third := *o.PersistentVolumes[1].DeepCopy()
			third.Name, third.Spec.ClaimRef = "pv-3", nil
			o.PersistentVolumes = append(o.PersistentVolumes, third)
		}, Doubled, "pvc-2"},
		"claim pending": {func(o *Observation) { o.Claims[0].Status.Phase = corev1.ClaimPending }, Unbound, "l/bound"},
		"claim without its PersistentVolume": {func(o *Observation) {
			o.Claims[0].Spec.VolumeName = "pv-9"
		}, Unbound, "l/bound"},
		"claim being deleted": {func(o *Observation) {
			o.Claims[0].DeletionTimestamp = &metav1.Time{}
		}, Undeleted, "l/bound"},
		"PersistentVolume released": {func(o *Observation) {
			o.PersistentVolumes[1].Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimDelete
		}, Undeleted, "pv-2"},
		"PersistentVolume being deleted": {func(o *Observation) {
			o.PersistentVolumes[0].DeletionTimestamp = &metav1.Time{}
		}, Undeleted, "pv-1"},
		"batch": {func(o *Observation) { o.Batches = []string{"journal-1"} }, Intent, "journal-1"},
		"driver has another size": {func(o *Observation) {
			o.Volumes[0].CapacityBytes++
		}, WrongSize, "l/bound"},
		"PersistentVolume has another size": {func(o *Observation) {
			o.PersistentVolumes[0].Spec.Capacity[corev1.ResourceStorage] = two
		}, WrongSize, "l/bound"},
		"status has another size": {func(o *Observation) {
			o.Claims[0].Status.Capacity[corev1.ResourceStorage] = two
		}, WrongSize, "l/bound"},
		"claim asks for another size": {func(o *Observation) {
			o.Claims[0].Spec.Resources.Requests[corev1.ResourceStorage] = two
		}, WrongSize, "l/bound"},
		"expansion has not ended": {func(o *Observation) {
			o.Claims[0].Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{
				corev1.ResourceStorage: corev1.PersistentVolumeClaimControllerResizeInProgress,
			}
		}, WrongSize, "l/bound"},
		"condition of an expansion": {func(o *Observation) {
			o.Claims[0].Status.Conditions = []corev1.PersistentVolumeClaimCondition{{Type: corev1.PersistentVolumeClaimResizing}}
		}, WrongSize, "l/bound"},
		"driver has other parameters": {func(o *Observation) {
			o.Volumes[0].MutableParameters["tier"] = "silver"
		}, WrongAttributes, "l/bound"},
		"claim asks for another class": {func(o *Observation) {
			o.Claims[0].Spec.VolumeAttributesClassName = &silver
		}, WrongAttributes, "l/bound"},
		"PersistentVolume has another class": {func(o *Observation) {
			o.PersistentVolumes[0].Spec.VolumeAttributesClassName = &silver
		}, WrongAttributes, "l/bound"},
		"modifying has not ended": {func(o *Observation) {
			o.Claims[0].Status.ModifyVolumeStatus = &corev1.ModifyVolumeStatus{Status: corev1.PersistentVolumeClaimModifyVolumeInProgress}
		}, WrongAttributes, "l/bound"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := sound()
			c.spoil(&seen)
			breaches := Check(seen)
			if len(breaches) != 1 || breaches[0].Flaw != c.flaw || breaches[0].Subject != c.subject {
				t.Errorf("found %v, want one %s of %s", breaches, c.flaw, c.subject)
			}
		})
	}
}
