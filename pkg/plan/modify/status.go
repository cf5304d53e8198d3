package modify

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

const (
	modifying = corev1.PersistentVolumeClaimVolumeModifyingVolume
	failing   = corev1.PersistentVolumeClaimVolumeModifyVolumeError
)

// PauseSince returns when the driver's last infeasible answer was recorded in
// the claim; false when the last answer was no such, or its time is not known. A
// claim that says nothing has rested.
//
// It is the last transition of either condition: here each answer is one of
// ModifyingVolume, while external-resizer changes ModifyVolumeError only.
func PauseSince(claim *corev1.PersistentVolumeClaim) (since metav1.Time, ok bool) {
	status := claim.Status.ModifyVolumeStatus
	if status == nil || status.Status != corev1.PersistentVolumeClaimModifyVolumeInfeasible {
		return metav1.Time{}, false
	}
	for _, condition := range claim.Status.Conditions {
		if isOurs(condition) && since.Before(&condition.LastTransitionTime) {
			since = condition.LastTransitionTime
		}
	}
	return since, !since.IsZero()
}

// settled tells whether the claim says that the driver's last call is over.
func settled(claim *corev1.PersistentVolumeClaim) bool {
	return slices.ContainsFunc(claim.Status.Conditions, func(c corev1.PersistentVolumeClaimCondition) bool {
		return c.Type == modifying && c.Reason == names.ConditionWaitingForRetry
	})
}

// clean tells whether the claim has none of the conditions of this package.
func clean(claim *corev1.PersistentVolumeClaim) bool {
	return !slices.ContainsFunc(claim.Status.Conditions, isOurs)
}

func isOurs(c corev1.PersistentVolumeClaimCondition) bool {
	return c.Type == modifying || c.Type == failing
}

// started returns the claim before the driver is called for that class.
func started(in Input, class string) *corev1.PersistentVolumeClaim {
	claim := in.Claim.DeepCopy()
	if open(claim, class) {
		return claim
	}
	if !attempted(claim, class) {
		// What was said about another class, or another attempt, is of no use.
		removeConditions(claim)
	}
	setStatus(claim, corev1.PersistentVolumeClaimModifyVolumeInProgress, class)
	setCondition(claim, corev1.PersistentVolumeClaimCondition{
		Type:    modifying,
		Message: fmt.Sprintf("The driver is modifying the volume to VolumeAttributesClass %q.", class),
	}, in.Now)
	return claim
}

// postponed returns the claim while its class can't be used. A modification that
// has to be brought to its end stays as it is.
func postponed(claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	claim = claim.DeepCopy()
	if committed(claim) {
		return claim
	}
	last := ""
	if status := claim.Status.ModifyVolumeStatus; status != nil {
		last = status.TargetVolumeAttributesClassName
	}
	removeConditions(claim)
	setStatus(claim, corev1.PersistentVolumeClaimModifyVolumePending, last)
	return claim
}

// cleared returns the claim when nothing is asked of the driver any more.
func cleared(claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	claim = claim.DeepCopy()
	removeConditions(claim)
	claim.Status.ModifyVolumeStatus = nil
	return claim
}

func setStatus(claim *corev1.PersistentVolumeClaim, status corev1.PersistentVolumeClaimModifyVolumeStatus, target string) {
	claim.Status.ModifyVolumeStatus = &corev1.ModifyVolumeStatus{Status: status, TargetVolumeAttributesClassName: target}
}

func removeConditions(claim *corev1.PersistentVolumeClaim) {
	claim.Status.Conditions = slices.DeleteFunc(claim.Status.Conditions, isOurs)
}

// setCondition makes a condition true. One that says the same already is left
// alone; a new message alone is no transition. A time that is ahead of the clock is not
// kept, since a pause is counted from it.
func setCondition(claim *corev1.PersistentVolumeClaim, next corev1.PersistentVolumeClaimCondition, now metav1.Time) {
	next.Status, next.LastProbeTime, next.LastTransitionTime = corev1.ConditionTrue, now, now
	i := slices.IndexFunc(claim.Status.Conditions, func(c corev1.PersistentVolumeClaimCondition) bool { return c.Type == next.Type })
	if i < 0 {
		claim.Status.Conditions = append(claim.Status.Conditions, next)
		return
	}
	last := claim.Status.Conditions[i]
	if last.Status == next.Status && last.Reason == next.Reason && !now.Before(&last.LastTransitionTime) {
		if last.Message == next.Message {
			return
		}
		next.LastTransitionTime = last.LastTransitionTime
	}
	claim.Status.Conditions[i] = next
}
