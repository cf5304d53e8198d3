package expand

import (
	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// Options are the flags that change what is decided.
type Options struct {
	// RecoverVolumeExpansionFailure is the gate RecoverVolumeExpansionFailure: the claim's status
	// tells how far the expansion is, and a claim whose expansion fails may ask
	// for less.
	RecoverVolumeExpansionFailure bool
	// AnnotateFsResize is the gate AnnotateFsResize: a volume whose file system is still
	// to expand carries the size that it had before.
	AnnotateFsResize bool
	// BackfillExpandSecrets is --backfill-expand-secrets: a volume that lacks the reference to
	// the Secret of ControllerExpandVolume gets the one that its class names.
	BackfillExpandSecrets bool
}

// Input is everything that a decision depends on.
type Input struct {
	Claim *corev1.PersistentVolumeClaim
	// Volume is the claim's; nil when there is none of that name.
	Volume *corev1.PersistentVolume
	// Class is that of the volume (spec.storageClassName); nil when there is
	// none. It matters only for volumes that lack a reference to a Secret.
	Class        *storagev1.StorageClass
	Driver       string
	Capabilities capability.Set
	Options      Options
	// Rested tells that the pause after the last infeasible answer is over (see
	// [PauseSince]). It has no meaning where there was none.
	Rested bool
	// Now is the time of conditions that change.
	Now metav1.Time
}

// Verdict is what to do about a claim.
type Verdict uint8

const (
	// Skip: there is nothing to do until the claim or its volume changes.
	Skip Verdict = iota
	// Pause: the driver has called the expansion infeasible. There is nothing to
	// do until [PauseSince] is long enough ago, or the claim changes.
	Pause
	// Unannotate: the volume's file system is expanded; the decision's Volume,
	// without the annotation, is to be written before anything else.
	Unannotate
	// Backfill: the decision's Volume, with the missing reference to a Secret, is
	// to be written before anything else.
	Backfill
	// Reject: the volume can't be expanded as things are; Err says why.
	Reject
	// Act: the decision's Plan is to be carried out.
	Act
)

// Decision is the answer to an [Input].
type Decision struct {
	Verdict Verdict
	Err     error
	// Warning is what the claim's user should know about the expansion that
	// begins; empty for nothing. Tell it once Plan.Claim is written: from then on
	// no decision about the same expansion has it.
	Warning string
	// Volume is what the volume must become; nil but for Unannotate and Backfill.
	Volume *corev1.PersistentVolume
	// Plan is nil but for Act.
	Plan *Plan
}

// Plan is one attempt to expand a volume.
type Plan struct {
	// Claim is as it must be stored before the driver is called (W1): the
	// attempt under way, and its outcome open. It equals the input's when the
	// last attempt has left it so.
	//
	// It must not be written before it is certain that the driver will be called
	// (the Secret is there, the volume is not known to be in use): writing it
	// forgets that the last failure was final, and with that the user's way back
	// to a smaller size.
	Claim *corev1.PersistentVolumeClaim
	// Begins tells that no attempt at this size has been made before, so that its
	// beginning is worth an event.
	Begins bool
	// Request is complete but for its secrets; nil when there is nothing to call,
	// because the driver expands volumes on their nodes only. What follows then
	// is the conclusion of an empty [Answer].
	Request *csipb.ControllerExpandVolumeRequest
	// Secret is that of ControllerExpandVolume; nil for none.
	Secret *secrets.Ref
	// Target is the size aimed at.
	Target resource.Quantity

	// required is the target in bytes.
	required int64
	// lowers: see [goal].
	lowers bool
}
