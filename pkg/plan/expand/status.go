package expand

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// begun returns the claim with an attempt under way and its outcome open (W1):
// nothing that earlier attempts have left speaks against it.
func begun(in Input, size resource.Quantity) *corev1.PersistentVolumeClaim {
	claim := in.Claim.DeepCopy()
	leaveConditions(claim, condition(in.Now, corev1.PersistentVolumeClaimResizing, ""))
	if in.Options.RecoverVolumeExpansionFailure {
		setSize(&claim.Status.AllocatedResources, size)
		setStatus(claim, corev1.PersistentVolumeClaimControllerResizeInProgress)
		delete(claim.Annotations, names.NodeExpansionNotRequired)
	}
	return claim
}

// handedOver returns the claim with the node at work (W2).
func handedOver(in Input, size resource.Quantity) *corev1.PersistentVolumeClaim {
	claim := in.Claim.DeepCopy()
	leaveConditions(claim, condition(in.Now, corev1.PersistentVolumeClaimFileSystemResizePending,
		"Waiting for a pod that uses the volume, on whose node it is expanded."))
	if in.Options.RecoverVolumeExpansionFailure {
		raiseAllocated(claim, size)
		setStatus(claim, corev1.PersistentVolumeClaimNodeResizePending)
		delete(claim.Annotations, names.NodeExpansionNotRequired)
	}
	return claim
}

// finished returns the claim with the volume expanded (W3).
func finished(in Input, size resource.Quantity) *corev1.PersistentVolumeClaim {
	claim := in.Claim.DeepCopy()
	leaveConditions(claim)
	setSize(&claim.Status.Capacity, size)
	if !in.Options.RecoverVolumeExpansionFailure {
		return claim
	}
	raiseAllocated(claim, size)
	delete(claim.Status.AllocatedResourceStatuses, corev1.ResourceStorage)
	if len(claim.Status.AllocatedResourceStatuses) == 0 {
		claim.Status.AllocatedResourceStatuses = nil
	}
	metav1.SetMetaDataAnnotation(&claim.ObjectMeta, names.NodeExpansionNotRequired, "true")
	return claim
}

// raiseAllocated makes what is allocated at least the size that the volume has:
// a quota counts it. (Peers leave what was requested, which may be less.)
func raiseAllocated(claim *corev1.PersistentVolumeClaim, size resource.Quantity) {
	if size.Cmp(claim.Status.AllocatedResources[corev1.ResourceStorage]) > 0 {
		setSize(&claim.Status.AllocatedResources, size)
	}
}

// setSize leaves an equal size written as it is.
func setSize(list *corev1.ResourceList, size resource.Quantity) {
	if old, ok := (*list)[corev1.ResourceStorage]; ok && old.Cmp(size) == 0 {
		return
	}
	if *list == nil {
		*list = corev1.ResourceList{}
	}
	(*list)[corev1.ResourceStorage] = size
}

func setStatus(claim *corev1.PersistentVolumeClaim, status corev1.ClaimResourceStatus) {
	if claim.Status.AllocatedResourceStatuses == nil {
		claim.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{}
	}
	claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage] = status
}

func condition(now metav1.Time, kind corev1.PersistentVolumeClaimConditionType, message string) corev1.PersistentVolumeClaimCondition {
	return corev1.PersistentVolumeClaimCondition{
		Type:               kind,
		Status:             corev1.ConditionTrue,
		LastTransitionTime: now,
		Message:            message,
	}
}

// find returns the condition of the claim, if it is true; nil otherwise.
func find(claim *corev1.PersistentVolumeClaim, kind corev1.PersistentVolumeClaimConditionType) *corev1.PersistentVolumeClaimCondition {
	for i, c := range claim.Status.Conditions {
		if c.Type == kind && c.Status == corev1.ConditionTrue {
			return &claim.Status.Conditions[i]
		}
	}
	return nil
}

func holds(claim *corev1.PersistentVolumeClaim, kind corev1.PersistentVolumeClaimConditionType) bool {
	return find(claim, kind) != nil
}

// leaveConditions leaves of the conditions about expansion those that are wanted.
func leaveConditions(claim *corev1.PersistentVolumeClaim, wanted ...corev1.PersistentVolumeClaimCondition) {
	claim.Status.Conditions = slices.DeleteFunc(claim.Status.Conditions, func(c corev1.PersistentVolumeClaimCondition) bool {
		switch c.Type {
		case corev1.PersistentVolumeClaimResizing, corev1.PersistentVolumeClaimFileSystemResizePending,
			corev1.PersistentVolumeClaimControllerResizeError, corev1.PersistentVolumeClaimNodeResizeError:
			return !slices.ContainsFunc(wanted, func(w corev1.PersistentVolumeClaimCondition) bool { return w.Type == c.Type })
		}
		return false
	})
	for _, w := range wanted {
		setCondition(claim, w)
	}
}

// setCondition leaves a condition that is true already the time of its
// transition.
func setCondition(claim *corev1.PersistentVolumeClaim, wanted corev1.PersistentVolumeClaimCondition) {
	for i, c := range claim.Status.Conditions {
		if c.Type != wanted.Type {
			continue
		}
		if c.Status == wanted.Status {
			wanted.LastTransitionTime, wanted.LastProbeTime = c.LastTransitionTime, c.LastProbeTime
		}
		claim.Status.Conditions[i] = wanted
		return
	}
	claim.Status.Conditions = append(claim.Status.Conditions, wanted)
}
