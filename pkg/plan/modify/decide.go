package modify

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Verdict is what to do about a claim.
type Verdict uint8

const (
	// Skip: there is nothing to do until the claim or its volume changes.
	Skip Verdict = iota
	// Pause: the driver has called the class infeasible. There is nothing to do
	// until [PauseSince] is long enough ago, the claim names another class, or
	// the class is made anew.
	Pause
	// Pending: the class does not exist; Err says so. There is nothing to do
	// until it does.
	Pending
	// Cancel: the claim no longer asks for the modification that it tells of.
	Cancel
	// Reject: the volume can't be modified to the class; Err says why.
	Reject
	// Act: the decision's Plan is to be carried out.
	Act
)

// Decision is the answer to an [Input].
type Decision struct {
	Verdict Verdict
	Err     error
	// Claim is as it must be stored, for Act before the driver is called: from
	// then on the claim says that the driver may be at it. It must not be stored
	// before it is certain that the driver will be called (the Secret is there),
	// as that would bind the volume to a class of which the driver knows nothing.
	// It equals the input's when nothing has to change.
	Claim *corev1.PersistentVolumeClaim
	// Plan is nil but for Act.
	Plan *Plan
}

func reject(in Input, err error) Decision {
	return Decision{Verdict: Reject, Claim: postponed(in.Claim), Err: err}
}

// Decide says what to do about a claim.
func Decide(in Input) Decision {
	if !concerns(in) {
		return Decision{Verdict: Skip, Claim: in.Claim}
	}
	if err := known(in.Claim); err != nil {
		return Decision{Verdict: Reject, Claim: in.Claim, Err: err}
	}
	if idle(in.Claim) {
		return rest(in.Claim)
	}
	target := Target(in.Claim)
	if !in.Capabilities.Modify {
		return reject(in, fmt.Errorf("CSI driver %q can't modify volumes: it does not report the controller capability MODIFY_VOLUME", in.Driver))
	}
	if in.Class == nil {
		return Decision{Verdict: Pending, Claim: postponed(in.Claim), Err: missing(in.Claim, target)}
	}
	if in.Class.DriverName != in.Driver {
		return reject(in, fmt.Errorf("VolumeAttributesClass %.253q is for CSI driver %.253q, but the volume is of CSI driver %q: set the claim's spec.volumeAttributesClassName to a class of that driver", target, in.Class.DriverName, in.Driver))
	}
	if paused(in, target) {
		return Decision{Verdict: Pause, Claim: in.Claim}
	}
	return Decision{Verdict: Act, Claim: started(in, target), Plan: newPlan(in, target)}
}

// concerns tells whether the claim has a volume of this driver: both must say
// so, as a name alone can be anybody's. A claim that is being deleted is left
// alone.
func concerns(in Input) bool {
	claim, volume := in.Claim, in.Volume
	if claim.DeletionTimestamp != nil || claim.Status.Phase != corev1.ClaimBound || volume == nil || claim.Spec.VolumeName != volume.Name {
		return false
	}
	return volume.Spec.CSI != nil && volume.Spec.CSI.Driver == in.Driver && bound(in)
}

// bound tells whether the volume says that it is the claim's.
func bound(in Input) bool {
	ref := in.Volume.Spec.ClaimRef
	return ref != nil && ref.UID == in.Claim.UID && ref.Namespace == in.Claim.Namespace && ref.Name == in.Claim.Name
}

// Awaits tells whether the claim waits for its volume: it names one that is not there,
// or that does not name the claim yet. Informers of claims and of volumes may show the
// two sides of a binding in any order.
func Awaits(in Input) bool {
	return in.Claim.Spec.VolumeName != "" && (in.Volume == nil || !bound(in))
}

// known refuses what a later version of Kubernetes may write.
func known(claim *corev1.PersistentVolumeClaim) error {
	status := claim.Status.ModifyVolumeStatus
	if status == nil {
		return nil
	}
	switch status.Status {
	case corev1.PersistentVolumeClaimModifyVolumePending,
		corev1.PersistentVolumeClaimModifyVolumeInProgress,
		corev1.PersistentVolumeClaimModifyVolumeInfeasible:
		return nil
	}
	return fmt.Errorf("the claim's status.modifyVolumeStatus.status is %.100q, which this version does not know: the volume is not modified", status.Status)
}

// idle tells whether the driver need not be called for what the claim asks. A
// claim that has never had a driver called for it may go back to the class that
// its volume has; after that, the way back is a modification, too.
func idle(claim *corev1.PersistentVolumeClaim) bool {
	target := Target(claim)
	if target == "" {
		return true
	}
	status := claim.Status.ModifyVolumeStatus
	touched := status != nil && status.TargetVolumeAttributesClassName != ""
	return target == current(claim) && !touched
}

// rest decides about an idle claim.
func rest(claim *corev1.PersistentVolumeClaim) Decision {
	if claim.Status.ModifyVolumeStatus == nil && clean(claim) {
		return Decision{Verdict: Skip, Claim: claim}
	}
	return Decision{Verdict: Cancel, Claim: cleared(claim)}
}

func missing(claim *corev1.PersistentVolumeClaim, class string) error {
	if committed(claim) {
		return fmt.Errorf("VolumeAttributesClass %.253q does not exist, but the driver may have begun to modify the volume to it: create it again, the modification goes on then", class)
	}
	return fmt.Errorf("VolumeAttributesClass %.253q does not exist: create it, or set the claim's spec.volumeAttributesClassName to another; the volume is modified as soon as it exists", class)
}

// paused tells whether the driver has refused the class, and it is too early to
// ask again. A class can't be changed, but it can be made anew under its name.
func paused(in Input, class string) bool {
	if !infeasible(in.Claim, class) || in.Rested {
		return false
	}
	since, ok := PauseSince(in.Claim)
	return ok && !since.Before(&in.Class.CreationTimestamp)
}
