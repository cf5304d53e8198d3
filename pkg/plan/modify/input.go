package modify

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
)

// Options are the flags that change what is decided.
type Options struct {
	// ExtraModifyMetadata is --extra-modify-metadata: the names of claim and volume
	// are added to the request's parameters.
	ExtraModifyMetadata bool
}

// Input is everything that a decision depends on.
type Input struct {
	Claim *corev1.PersistentVolumeClaim
	// Volume is the claim's; nil when there is none of that name.
	Volume *corev1.PersistentVolume
	// Class is the claim's [Target]; nil when there is none of that name.
	Class        *storagev1.VolumeAttributesClass
	Driver       string
	Capabilities capability.Set
	Options      Options
	// Rested tells that the pause after the driver has called the class
	// infeasible is over (see [PauseSince]). It has no meaning where there was
	// none.
	Rested bool
	// Now is the time of conditions that change.
	Now metav1.Time
}

// Target returns the name of the class that the volume is to get next: that of
// a modification which has to be brought to its end, and else the one that the
// claim names; empty for none.
func Target(claim *corev1.PersistentVolumeClaim) string {
	if committed(claim) {
		return claim.Status.ModifyVolumeStatus.TargetVolumeAttributesClassName
	}
	return wanted(claim)
}

// Asks tells whether there is anything about a claim's status or class to
// decide on. It is for sorting out the many claims that never name another
// class; [Decide] skips more.
func Asks(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Status.ModifyVolumeStatus != nil || !clean(claim) ||
		wanted(claim) != "" && wanted(claim) != current(claim)
}

// committed tells whether the volume must get the class that it is being modified
// to, whatever the claim names by now. It is while the driver may be at it; and
// when the last call has failed but the claim names no class any more, as it is
// not known how far the driver got (KEP-3751: only infeasible modifications can
// be called off).
func committed(claim *corev1.PersistentVolumeClaim) bool {
	status := claim.Status.ModifyVolumeStatus
	return status != nil && status.TargetVolumeAttributesClassName != "" &&
		status.Status == corev1.PersistentVolumeClaimModifyVolumeInProgress &&
		(!settled(claim) || wanted(claim) == "")
}

// open tells whether the claim says that the driver may be modifying the volume
// to that class.
func open(claim *corev1.PersistentVolumeClaim, class string) bool {
	return committed(claim) && !settled(claim) && Target(claim) == class
}

// attempted tells whether the last class that the driver was asked for is that
// one.
func attempted(claim *corev1.PersistentVolumeClaim, class string) bool {
	status := claim.Status.ModifyVolumeStatus
	return status != nil && status.TargetVolumeAttributesClassName == class &&
		status.Status != corev1.PersistentVolumeClaimModifyVolumePending
}

// infeasible tells whether the driver has refused that class.
func infeasible(claim *corev1.PersistentVolumeClaim, class string) bool {
	return attempted(claim, class) && claim.Status.ModifyVolumeStatus.Status == corev1.PersistentVolumeClaimModifyVolumeInfeasible
}

// wanted returns the class that the claim names; empty for none.
func wanted(claim *corev1.PersistentVolumeClaim) string {
	return value(claim.Spec.VolumeAttributesClassName)
}

// current returns the class that the volume has; empty for none.
func current(claim *corev1.PersistentVolumeClaim) string {
	return value(claim.Status.CurrentVolumeAttributesClassName)
}

func value(name *string) string {
	if name == nil {
		return ""
	}
	return *name
}
