package expand

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// Answer is what the driver answers to ControllerExpandVolume.
type Answer struct {
	// CapacityBytes is the size of the volume; 0 when the driver does not know,
	// or was not called.
	CapacityBytes int64
	// NodeExpansionRequired tells that the volume's node has work to do. It is
	// always so where the driver was not called.
	NodeExpansionRequired bool
}

// Conclusion is what follows from the driver's answer to a plan.
type Conclusion struct {
	// Volume is the PersistentVolume to store, before the claim; nil when Err is
	// not.
	Volume *corev1.PersistentVolume
	// Claim is as it must be stored then: waiting for the node (W2), finished
	// (W3), or, when Err is not nil, failed (W5).
	Claim *corev1.PersistentVolumeClaim
	// Reason and Message are the Normal event to tell on the claim once it is
	// stored; empty when Err is not nil.
	Reason, Message string
	// Err says what is wrong with the answer.
	Err error
}

// Conclude returns what must become of a plan to which the driver has answered
// without an error. The input is the one decided about, but with the claim and
// the volume as they are stored now: a claim whose node has begun already is left
// as it is, so that a write whose success was not seen may be repeated.
func Conclude(in Input, plan *Plan, answer Answer) Conclusion {
	size, err := reached(in, plan, answer)
	if err != nil {
		return Conclusion{Claim: Failed(in, plan, Final, err), Err: err}
	}
	onNode := plan.Request == nil || answer.NodeExpansionRequired
	conclusion := Conclusion{Volume: resized(in, size, onNode)}
	if onNode {
		conclusion.Claim = in.Claim.DeepCopy()
		if !takenOver(in, size) {
			conclusion.Claim = handedOver(in, size)
		}
		conclusion.Reason = names.ReasonFileSystemResizeRequired
		conclusion.Message = fmt.Sprintf("Volume %s is to have %s: waiting for its node to expand it", in.Volume.Name, size.String())
		return conclusion
	}
	conclusion.Claim = finished(in, size)
	conclusion.Reason = names.ReasonVolumeResizeSuccessful
	conclusion.Message = fmt.Sprintf("Volume %s has %s", in.Volume.Name, size.String())
	return conclusion
}

// reached returns the size that the volume has now. It is not less than it was:
// a driver that finds its volume bigger than asked for may answer with what was
// asked for.
func reached(in Input, plan *Plan, answer Answer) (resource.Quantity, error) {
	bytes := answer.CapacityBytes
	if bytes == 0 {
		bytes = plan.required
	}
	if bytes < plan.required {
		return resource.Quantity{}, fmt.Errorf("the CSI driver answered ControllerExpandVolume with success, but with a volume of %d bytes where %d were required: this is a fault of the driver", bytes, plan.required)
	}
	size := *resource.NewQuantity(bytes, resource.BinarySI)
	if size.Cmp(plan.Target) == 0 {
		size = plan.Target // as its user has written it
	}
	if old := in.Volume.Spec.Capacity[corev1.ResourceStorage]; !plan.lowers && old.Cmp(size) > 0 {
		return old, nil
	}
	return size, nil
}

// takenOver tells whether the node has begun, or finished. To hand over what it
// has finished would have the claim wait indefinitely.
func takenOver(in Input, size resource.Quantity) bool {
	capacity := in.Claim.Status.Capacity[corev1.ResourceStorage]
	if capacity.Cmp(size) >= 0 {
		return true
	}
	status := in.Claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage]
	return in.Options.RecoverVolumeExpansionFailure && (status == corev1.PersistentVolumeClaimNodeResizeInProgress ||
		status == corev1.PersistentVolumeClaimNodeResizeInfeasible)
}

// Failure is what an error of ControllerExpandVolume says about the volume.
type Failure uint8

const (
	// Pending: the call may still be under way, or has not begun.
	Pending Failure = iota
	// Final: the call is over, and has failed.
	Final
	// Infeasible: the call is over, and the same request will not succeed.
	Infeasible
)

// Failed returns the claim as it must be stored after the call to the driver has
// failed (W4 for Infeasible, W5 for Final; Pending changes nothing). The input is
// the one decided about, but with the claim as it is stored now: one that no
// longer shows the plan's attempt under way is left as it is.
func Failed(in Input, plan *Plan, failure Failure, err error) *corev1.PersistentVolumeClaim {
	claim := in.Claim.DeepCopy()
	if failure == Pending || !in.Options.RecoverVolumeExpansionFailure || !underWay(claim, plan) {
		return claim
	}
	setCondition(claim, condition(in.Now, corev1.PersistentVolumeClaimControllerResizeError, err.Error()))
	if failure == Infeasible {
		setStatus(claim, corev1.PersistentVolumeClaimControllerResizeInfeasible)
	}
	return claim
}

func underWay(claim *corev1.PersistentVolumeClaim, plan *Plan) bool {
	allocated := claim.Status.AllocatedResources[corev1.ResourceStorage]
	return allocated.Cmp(plan.Target) == 0 &&
		claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage] == corev1.PersistentVolumeClaimControllerResizeInProgress
}

// PauseSince returns when the driver's last infeasible answer was recorded in the
// claim; false when the last answer was no such, or its time is not known. A
// claim that says nothing has rested.
func PauseSince(claim *corev1.PersistentVolumeClaim) (metav1.Time, bool) {
	failed := find(claim, corev1.PersistentVolumeClaimControllerResizeError)
	if failed == nil || claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage] != corev1.PersistentVolumeClaimControllerResizeInfeasible {
		return metav1.Time{}, false
	}
	return failed.LastTransitionTime, true
}
