package expand

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// state is how far the expansion of a claim has come.
type state struct {
	// requested, capacity and provisioned are the sizes that the claim asks for,
	// that it has, and that its volume has.
	requested, capacity, provisioned resource.Quantity
	// allocated is the size that is being worked on; nil when there is none. It
	// stays in the claim when the work is over: then it is not above the
	// capacity.
	allocated *resource.Quantity
	// status is empty when nothing is under way.
	status corev1.ClaimResourceStatus
	// failed tells that the last call to the driver is over and has failed.
	failed bool
	// onNode is the condition FileSystemResizePending.
	onNode bool
	// begun is the condition Resizing.
	begun bool
	// nodeOnly tells that the driver expands volumes on their nodes only.
	nodeOnly bool
	// recovers is the gate: without it there are no allocated and status.
	recovers bool
}

func newState(in Input) state {
	s := state{
		requested:   in.Claim.Spec.Resources.Requests[corev1.ResourceStorage],
		capacity:    in.Claim.Status.Capacity[corev1.ResourceStorage],
		provisioned: in.Volume.Spec.Capacity[corev1.ResourceStorage],
		onNode:      holds(in.Claim, corev1.PersistentVolumeClaimFileSystemResizePending),
		begun:       holds(in.Claim, corev1.PersistentVolumeClaimResizing),
		nodeOnly:    !in.Capabilities.ControllerExpand,
		recovers:    in.Options.RecoverVolumeExpansionFailure,
	}
	if !s.recovers {
		return s
	}
	s.status = in.Claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage]
	s.failed = s.status == corev1.PersistentVolumeClaimControllerResizeInfeasible ||
		holds(in.Claim, corev1.PersistentVolumeClaimControllerResizeError)
	if allocated, ok := in.Claim.Status.AllocatedResources[corev1.ResourceStorage]; ok && allocated.Cmp(s.capacity) > 0 {
		s.allocated = &allocated
	}
	return s
}

// aimedAt tells whether the last attempt was at the same size.
func (s state) aimedAt(size resource.Quantity) bool {
	return s.allocated != nil && s.allocated.Cmp(size) == 0
}

// begins tells whether an attempt is the first at its size.
func (s state) begins(size resource.Quantity) bool {
	if !s.recovers {
		return !s.begun
	}
	return s.status == "" || !s.aimedAt(size)
}

// goal is what an attempt aims at.
type goal struct {
	size resource.Quantity
	// lowers tells that the volume's capacity becomes less: its node has failed
	// to expand it, and no driver ever has.
	lowers bool
}

// goal returns what is to be aimed at next; false when the controller has
// nothing to do.
func (s state) goal() (goal, bool) {
	size, ok := s.target()
	if !ok || !s.nodeOnly || size.Cmp(s.provisioned) >= 0 {
		return goal{size: size}, ok
	}
	switch s.status {
	case corev1.PersistentVolumeClaimNodeResizeInfeasible, corev1.PersistentVolumeClaimControllerResizeInProgress:
		// In progress, at less than the volume has: begun where the node had
		// failed, and interrupted.
		return goal{size: size, lowers: true}, true
	}
	// The node expands the volume to what its capacity says.
	return goal{size: s.provisioned}, true
}

// target is the table of KEP-1790: by the state of the last attempt, and by
// whether the volume is as big as the claim asks for.
func (s state) target() (resource.Quantity, bool) {
	expanded := s.provisioned.Cmp(s.requested) >= 0
	switch s.status {
	case corev1.PersistentVolumeClaimNodeResizePending, corev1.PersistentVolumeClaimNodeResizeInProgress:
		// The node finishes first.
		size := s.allocatedOrRequested()
		return size, !expanded && s.provisioned.Cmp(size) < 0
	case corev1.PersistentVolumeClaimNodeResizeInfeasible:
		if expanded && s.nodeOnly {
			return s.requested, true
		}
		// The driver has expanded the volume: there is no way back.
		return s.allocatedOrRequested(), true
	case corev1.PersistentVolumeClaimControllerResizeInProgress, corev1.PersistentVolumeClaimControllerResizeInfeasible:
		return s.resumed(expanded), true
	}
	if expanded && s.status == "" && s.allocated != nil {
		return *s.allocated, true
	}
	// A volume that is expanded for a claim that knows nothing of it: the API
	// server drops the fields, or the legacy path was at work. It leaves the
	// condition where the node has the rest to do.
	return s.requested, !expanded || !s.onNode
}

// resumed is the target after an attempt at the driver. Its size stands as long
// as the driver may still be at work on it, or has reached it; peers stick to it
// also where a bigger volume than asked for has failed to become bigger still.
func (s state) resumed(expanded bool) resource.Quantity {
	reached := s.allocated != nil && s.provisioned.Cmp(*s.allocated) >= 0
	if s.failed && !(expanded && reached) {
		return s.requested
	}
	return s.allocatedOrRequested()
}

func (s state) allocatedOrRequested() resource.Quantity {
	if s.allocated != nil {
		return *s.allocated
	}
	return s.requested
}
