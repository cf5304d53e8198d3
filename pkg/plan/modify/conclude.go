package modify

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// Conclusion is what follows from the driver's success.
type Conclusion struct {
	// Volume is the PersistentVolume to store, before the claim.
	Volume *corev1.PersistentVolume
	// Claim is as it must be stored then.
	Claim *corev1.PersistentVolumeClaim
}

// Conclude returns what must become of a plan in which the driver has succeeded.
// The input is the one decided about, but with the claim and the volume as they
// are stored now.
func Conclude(in Input, plan *Plan) Conclusion {
	volume, claim := in.Volume.DeepCopy(), cleared(in.Claim)
	volume.Spec.VolumeAttributesClassName = &plan.Target
	claim.Status.CurrentVolumeAttributesClassName = &plan.Target
	return Conclusion{Volume: volume, Claim: claim}
}

// Outcome is what an error of ControllerModifyVolume says about the volume.
type Outcome uint8

const (
	// Unfinished: the driver may still be modifying the volume; it must be asked
	// for the same class until it says that it is done.
	Unfinished Outcome = iota
	// Final: the call is over, and has failed.
	Final
	// Infeasible: the call is over, and the same request will not succeed.
	Infeasible
)

// Failure is an error of ControllerModifyVolume.
type Failure struct {
	Outcome Outcome
	// Code is the name of the gRPC code, such as InvalidArgument; Message is
	// what the driver says.
	Code, Message string
}

// Failed returns the claim as it must be stored after the call to the driver has
// failed. The input is the one decided about, but with the claim as it is stored
// now.
func Failed(in Input, plan *Plan, failure Failure) *corev1.PersistentVolumeClaim {
	claim := in.Claim.DeepCopy()
	status := corev1.PersistentVolumeClaimModifyVolumeInProgress
	progress := corev1.PersistentVolumeClaimCondition{
		Type:    modifying,
		Reason:  names.ConditionWaitingForRetry,
		Message: fmt.Sprintf("The driver has failed to modify the volume to VolumeAttributesClass %q and is asked again later.", plan.Target),
	}
	switch failure.Outcome {
	case Unfinished:
		progress.Reason = ""
		progress.Message = fmt.Sprintf("The driver has not finished modifying the volume to VolumeAttributesClass %q.", plan.Target)
	case Infeasible:
		status = corev1.PersistentVolumeClaimModifyVolumeInfeasible
	default: // Final: as above
	}
	setStatus(claim, status, plan.Target)
	setCondition(claim, progress, in.Now)
	setCondition(claim, corev1.PersistentVolumeClaimCondition{
		Type: failing, Reason: failure.Code, Message: failure.Message,
	}, in.Now)
	return claim
}
