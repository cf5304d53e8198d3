package deletion

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// Input is everything that a decision depends on.
type Input struct {
	// Volume is as the driver sees it: one of an in-tree plugin is translated.
	Volume *corev1.PersistentVolume
	// Plugin is the in-tree plugin whose place the driver has taken, if the volume
	// is stored as the plugin's; empty for all others.
	Plugin string
	// Class is the volume's class; nil when there is none of that name. It
	// matters only for volumes that carry no reference to their secret.
	Class *storagev1.StorageClass
	// AttachedTo names the nodes that the volume is attached to, by any
	// VolumeAttachment, whether it is being deleted or not.
	AttachedTo []string
	// SharedWith names other PersistentVolumes that have the same volume, and do not have
	// it deleted themselves.
	SharedWith   []string
	Driver       string
	Capabilities capability.Set
	// Home is the own node in node deployment; nil outside of it.
	Home *topology.Home
}

// Verdict is what to do about a volume.
type Verdict uint8

const (
	// Skip: there is nothing to do until the volume changes.
	Skip Verdict = iota
	// AddFinalizer: the volume will have to be deleted one day, but carries no
	// finalizer.
	AddFinalizer
	// RemoveFinalizer: the volume will not have to be deleted, but carries the
	// finalizer.
	RemoveFinalizer
	// Wait: the volume must be deleted, but is still attached; Err says where.
	Wait
	// Reject: the volume must be deleted, but can't be; Err says why.
	Reject
	// Act: delete the volume at the driver, then the PersistentVolume.
	Act
)

// Decision is the answer to an [Input].
type Decision struct {
	Verdict Verdict
	Err     error
	// Handle and Secret are what DeleteVolume is called with; Secret is nil for
	// none.
	Handle string
	Secret *secrets.Ref
}

// Decide says what to do about a volume.
func Decide(in Input) Decision {
	if !Concerns(in.Volume, in.Driver, in.Plugin) || !in.Home.Reaches(in.Volume.Spec.NodeAffinity) {
		return Decision{Verdict: Skip}
	}
	if verdict := finalizer(in.Volume); verdict != Skip {
		return Decision{Verdict: verdict}
	}
	if !Due(in.Volume) {
		return Decision{Verdict: Skip}
	}
	if missing := in.Capabilities.MissingForVolumes(); missing != "" {
		return Decision{Verdict: Reject, Err: fmt.Errorf("CSI driver %q can't delete volumes: it does not report the %s", in.Driver, missing)}
	}
	if in.Capabilities.PublishUnpublish && len(in.AttachedTo) > 0 {
		return Decision{Verdict: Wait, Err: fmt.Errorf("PersistentVolume %q is still attached to node %s: it is deleted as soon as its VolumeAttachment is gone", in.Volume.Name, strings.Join(slices.Sorted(slices.Values(in.AttachedTo)), ", "))}
	}
	if len(in.SharedWith) > 0 {
		return Decision{Verdict: Reject, Err: fmt.Errorf("volume %q is not deleted for PersistentVolume %q, as it is also that of PersistentVolume %s: to keep the volume, set the reclaim policy of %q to Retain and delete it; to delete the volume, delete the other ones first",
			in.Volume.Spec.CSI.VolumeHandle, in.Volume.Name, strings.Join(slices.Sorted(slices.Values(in.SharedWith)), ", "), in.Volume.Name)}
	}
	ref, err := secret(in)
	if err != nil {
		return Decision{Verdict: Reject, Err: err}
	}
	return Decision{Verdict: Act, Handle: in.Volume.Spec.CSI.VolumeHandle, Secret: ref}
}

// Concerns tells whether a volume is this driver's. The volume's own driver
// decides; a volume that says that another one has provisioned it is left
// alone. Volumes made by hand count, too; but those stored as an in-tree plugin's
// only where kube-controller-manager has noted that they are migrated.
func Concerns(volume *corev1.PersistentVolume, driver, plugin string) bool {
	if volume.Spec.CSI == nil || volume.Spec.CSI.Driver != driver {
		return false
	}
	provisioner, ok := volume.Annotations[names.ProvisionedBy]
	switch {
	case volume.Annotations[names.MigratedTo] == driver:
		return true
	case !ok:
		return plugin == ""
	}
	return provisioner == driver || plugin != "" && provisioner == plugin
}

// finalizer tells how the volume's finalizer must change (KEP-2644).
func finalizer(volume *corev1.PersistentVolume) Verdict {
	has := HasFinalizer(volume)
	deleted := volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete
	switch {
	case has && !deleted:
		return RemoveFinalizer
	case !has && deleted && volume.DeletionTimestamp == nil && volume.Status.Phase == corev1.VolumeBound:
		return AddFinalizer
	}
	return Skip
}

// HasFinalizer tells whether the volume carries this program's finalizer.
func HasFinalizer(volume *corev1.PersistentVolume) bool {
	return slices.Contains(volume.Finalizers, names.VolumeFinalizer)
}

// Due tells whether the volume must go. One that is already being deleted and
// has no finalizer is past help: its PersistentVolume may be gone at any moment.
func Due(volume *corev1.PersistentVolume) bool {
	return volume.Status.Phase == corev1.VolumeReleased &&
		volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete &&
		(volume.DeletionTimestamp == nil || HasFinalizer(volume))
}

// secret finds the Secret of DeleteVolume: that which the volume's annotations
// name, and for a volume without them, that of its class.
func secret(in Input) (*secrets.Ref, error) {
	name, hasName := in.Volume.Annotations[names.DeletionSecretName]
	namespace, hasNamespace := in.Volume.Annotations[names.DeletionSecretNamespace]
	if hasName && hasNamespace {
		if name == "" || namespace == "" {
			return nil, nil
		}
		return &secrets.Ref{Namespace: namespace, Name: name}, nil
	}
	claim := in.Volume.Spec.ClaimRef
	if in.Class == nil || claim == nil {
		return nil, nil
	}
	ref, err := secrets.Resolve(secrets.Provisioner, in.Class.Parameters, secrets.Volume{
		PVName:             in.Volume.Name,
		ClaimName:          claim.Name,
		ClaimNamespace:     claim.Namespace,
		AnnotationsUnknown: true,
	})
	if err != nil {
		return nil, fmt.Errorf("finding the secret of DeleteVolume, as PersistentVolume %q has no annotation %s: StorageClass %q: %w", in.Volume.Name, names.DeletionSecretName, in.Class.Name, err)
	}
	return ref, nil
}
