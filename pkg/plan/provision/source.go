package provision

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

// Source is what is known of a claim's data source; see [WantsSource].
type Source struct {
	// Snapshot and Content are those of a snapshot, Claim and Volume of a claim to
	// be cloned; nil for what does not exist.
	Snapshot *source.Snapshot
	Content  *source.Content
	Claim    *corev1.PersistentVolumeClaim
	Volume   *corev1.PersistentVolume
	// Grants are those of the source's namespace, if that is not the claim's.
	Grants []*source.Grant
	// Err says why nothing is known of it.
	Err error
}

// WantsSource tells which data source must be looked at for the decision.
func WantsSource(in Input) (source.Ref, bool) {
	if _, decided := decideClaim(in); decided {
		return source.Ref{}, false
	}
	ref, ok := source.Of(in.Claim)
	return ref, ok && inReach(in.Options, ref) == nil
}

// SourceKind returns the kind of the claim's data source; empty without one.
func SourceKind(claim *corev1.PersistentVolumeClaim) string {
	ref, _ := source.Of(claim)
	return ref.Kind
}

// decideSource decides what depends on nothing but the data source and who may use
// it. What populators fill is left to them.
func decideSource(in Input) (decision Decision, decided bool) {
	ref, ok := source.Of(in.Claim)
	if !ok {
		return Decision{}, false
	}
	if err := mayUse(in, ref); err != nil {
		return reject(err), true
	}
	switch {
	case ref.Name == "":
		return reject(fmt.Errorf("the claim's data source, of kind %.253q, has no name", ref.Kind)), true
	case ref.IsSnapshot() && ref.Group != source.SnapshotGroup:
		return reject(fmt.Errorf("the claim's data source is a VolumeSnapshot of API group %.253q: its apiGroup must be %q", ref.Group, source.SnapshotGroup)), true
	case !ref.IsSnapshot() && !ref.IsClaim():
		return Decision{Verdict: Leave, Message: fmt.Sprintf("Waiting for a volume populator to provision the claim: its data source is of kind %.253s", ref.Kind)}, true
	}
	return Decision{}, false
}

func mayUse(in Input, ref source.Ref) error {
	if ref.Namespace != in.Claim.Namespace && in.Source.Err != nil {
		return cmp.Or(inReach(in.Options, ref), in.Source.Err)
	}
	return MayUse(in.Options, in.Claim, in.Source.Grants)
}

// MayUse returns an error that says why a claim may not use the data source that it
// names, by the grants of the source's namespace (KEP-3294); nil if it may.
func MayUse(o Options, claim *corev1.PersistentVolumeClaim, grants []*source.Grant) error {
	ref, ok := source.Of(claim)
	if !ok {
		return nil
	}
	if err := inReach(o, ref); err != nil {
		return err
	}
	if ref.Namespace != claim.Namespace && !source.Granted(grants, claim.Namespace, ref) {
		return notGranted(claim, ref)
	}
	return nil
}

// inReach finds out whether a claim may name a source of that namespace at all.
func inReach(o Options, ref source.Ref) error {
	if ref.Elsewhere && !o.CrossNamespaceVolumeDataSource {
		return fmt.Errorf("the claim's spec.dataSourceRef names the namespace %.253q: that needs --feature-gates=CrossNamespaceVolumeDataSource=true here", ref.Namespace)
	}
	return nil
}

func notGranted(claim *corev1.PersistentVolumeClaim, ref source.Ref) error {
	return fmt.Errorf("the claim may not use %s: no ReferenceGrant of namespace %.253q has in its spec from: {group: \"\", kind: PersistentVolumeClaim, namespace: %s} and to: {group: %.253q, kind: %.253s}: create one there",
		ref, ref.Namespace, claim.Namespace, ref.Group, ref.Kind)
}

// sourceSupported finds out whether the driver can make volumes of that source.
func sourceSupported(in Input) error {
	ref, ok := source.Of(in.Claim)
	switch {
	case !ok:
	case ref.IsSnapshot() && !in.Driver.Capabilities.Snapshot:
		return fmt.Errorf("CSI driver %q can't restore snapshots, as it does not report the controller capability CREATE_DELETE_SNAPSHOT: create the claim without a data source, or with a class of another driver", in.Driver.Name)
	case ref.IsClaim() && !in.Driver.Capabilities.Clone:
		return fmt.Errorf("CSI driver %q can't clone volumes, as it does not report the controller capability CLONE_VOLUME: create the claim without a data source, or with a class of another driver", in.Driver.Name)
	}
	return nil
}

// contentSource returns what the driver is to fill the volume with, and the object
// that must not go meanwhile; nil for an empty volume.
func contentSource(in Input) (*csipb.VolumeContentSource, *source.Object, error) {
	ref, ok := source.Of(in.Claim)
	if !ok {
		return nil, nil, nil
	}
	if in.Source.Err != nil {
		return nil, nil, in.Source.Err
	}
	if ref.IsSnapshot() {
		if err := restorable(in, ref); err != nil {
			return nil, nil, err
		}
		object := in.Source.Snapshot.Object()
		return &csipb.VolumeContentSource{Type: &csipb.VolumeContentSource_Snapshot{
			Snapshot: &csipb.VolumeContentSource_SnapshotSource{SnapshotId: *in.Source.Content.Status.Handle},
		}}, &object, nil
	}
	if err := clonable(in, ref); err != nil {
		return nil, nil, err
	}
	return &csipb.VolumeContentSource{Type: &csipb.VolumeContentSource_Volume{
		Volume: &csipb.VolumeContentSource_VolumeSource{VolumeId: in.Source.Volume.Spec.CSI.VolumeHandle},
	}}, &source.Object{Key: ref.Key, UID: in.Source.Claim.UID}, nil
}

// SnapshotProtected tells whether the snapshot has the finalizer of restores.
func SnapshotProtected(snapshot *source.Snapshot) bool {
	return slices.Contains(snapshot.Finalizers, names.SnapshotFinalizer)
}

// restorable finds out why a snapshot can't be restored for the claim; nil if it
// can. A snapshot that is being deleted can as long as a restore keeps it.
func restorable(in Input, ref source.Ref) error {
	snapshot, content := in.Source.Snapshot, in.Source.Content
	switch {
	case snapshot == nil:
		return fmt.Errorf("%s does not exist: create it, or create the claim with another data source", ref)
	case snapshot.DeletionTimestamp != nil && !SnapshotProtected(snapshot):
		return fmt.Errorf("%s is being deleted: create the claim with another data source", ref)
	case snapshot.Status.Content == nil || *snapshot.Status.Content == "":
		return fmt.Errorf("%s is not bound to a VolumeSnapshotContent yet", ref)
	case content == nil:
		return fmt.Errorf("%s is bound to the VolumeSnapshotContent %.253q, which does not exist", ref, *snapshot.Status.Content)
	case content.Spec.Snapshot.UID != snapshot.UID || content.Spec.Snapshot.Namespace != snapshot.Namespace || content.Spec.Snapshot.Name != snapshot.Name:
		return fmt.Errorf("%s is bound to the VolumeSnapshotContent %.253q, which is that of another snapshot", ref, content.Name)
	case content.Spec.Driver != in.Driver.Name:
		return fmt.Errorf("%s is one of CSI driver %.253q, and StorageClass %q is for %q: use a class of the snapshot's driver", ref, content.Spec.Driver, in.Class.Name, in.Driver.Name)
	case snapshot.Status.Ready == nil || !*snapshot.Status.Ready:
		return fmt.Errorf("%s is not ready to use yet", ref)
	case content.Status.Handle == nil || *content.Status.Handle == "":
		return fmt.Errorf("%s can't be restored, as its VolumeSnapshotContent %.253q has no status.snapshotHandle", ref, content.Name)
	}
	if err := largeEnough(in, ref); err != nil {
		return err
	}
	return mayConvert(in, ref)
}

// largeEnough finds out whether the snapshot's data fits into the volume.
func largeEnough(in Input, ref source.Ref) error {
	least := in.Source.Snapshot.Status.RestoreSize
	if least == nil {
		return nil
	}
	requested, ok := in.Claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if !ok {
		return fmt.Errorf("the claim has no spec.resources.requests.storage, and %s needs %s", ref, least)
	}
	if requested.Cmp(*least) < 0 {
		return fmt.Errorf("the claim's spec.resources.requests.storage is %.100s, and %s needs %s: create the claim with that much at least", requested.String(), ref, least)
	}
	return nil
}

// mayConvert finds out whether the claim may have the mode that it asks for
// (KEP-3141).
func mayConvert(in Input, ref source.Ref) error {
	had, wanted := in.Source.Content.Spec.Mode, in.Claim.Spec.VolumeMode
	if !in.Options.PreventVolumeModeConversion || had == nil || wanted == nil || *had == *wanted {
		return nil
	}
	value, found := in.Source.Content.Annotations[names.AllowModeChange]
	if allowed, err := strconv.ParseBool(value); err == nil && allowed {
		return nil
	}
	why := "has no annotation " + names.AllowModeChange
	if found {
		why = fmt.Sprintf("has the annotation %s: %.100q", names.AllowModeChange, value)
	}
	return fmt.Errorf("the claim's spec.volumeMode is %.20s, and %s is of a volume with %.20s: its VolumeSnapshotContent %.253q %s; if the conversion is safe, an administrator can set it to \"true\"",
		*wanted, ref, *had, in.Source.Content.Name, why)
}

// clonable finds out why a claim's volume can't be cloned; nil if it can.
func clonable(in Input, ref source.Ref) error {
	from := in.Source.Claim
	switch {
	case from == nil:
		return fmt.Errorf("%s, which is to be cloned, does not exist: create it, or create the claim with another data source", ref)
	case from.Status.Phase != corev1.ClaimBound:
		return fmt.Errorf("%s, which is to be cloned, is %.20s: it must be bound", ref, from.Status.Phase)
	case from.DeletionTimestamp != nil:
		return fmt.Errorf("%s, which is to be cloned, is being deleted: create the claim with another data source", ref)
	case from.Spec.StorageClassName == nil:
		return fmt.Errorf("%s, which is to be cloned, has no spec.storageClassName", ref)
	case in.Claim.Spec.StorageClassName == nil:
		return fmt.Errorf("the claim has no spec.storageClassName, which a clone of %s needs", ref)
	case from.Spec.VolumeName == "":
		return fmt.Errorf("%s, which is to be cloned, has no volume", ref)
	}
	had, requested := from.Spec.Resources.Requests[corev1.ResourceStorage], in.Claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if requested.Cmp(had) < 0 {
		return fmt.Errorf("the claim's spec.resources.requests.storage is %.100s, and %s, which is to be cloned, has %.100s: create the claim with that much at least", requested.String(), ref, had.String())
	}
	if err := holdsData(in, ref); err != nil {
		return err
	}
	if hadMode, wanted := mode(from), mode(in.Claim); hadMode != wanted {
		return fmt.Errorf("the claim's spec.volumeMode is %.20s, and %s, which is to be cloned, has %.20s: they must be the same", wanted, ref, hadMode)
	}
	return nil
}

// holdsData finds out whether the volume of a claim is one of this driver, and
// really that of the claim.
func holdsData(in Input, ref source.Ref) error {
	from, volume := in.Source.Claim, in.Source.Volume
	switch {
	case volume == nil:
		return fmt.Errorf("%s can't be cloned: its PersistentVolume %.253q does not exist", ref, from.Spec.VolumeName)
	case volume.Spec.CSI == nil || volume.Spec.CSI.Driver != in.Driver.Name:
		return fmt.Errorf("%s can't be cloned: its PersistentVolume %.253q is none of CSI driver %q, which StorageClass %q is for", ref, volume.Name, in.Driver.Name, in.Class.Name)
	case volume.Spec.ClaimRef == nil || volume.Spec.ClaimRef.UID != from.UID || volume.Spec.ClaimRef.Namespace != from.Namespace || volume.Spec.ClaimRef.Name != from.Name:
		return fmt.Errorf("%s can't be cloned: its PersistentVolume %.253q belongs to another claim", ref, volume.Name)
	case volume.Status.Phase != corev1.VolumeBound:
		return fmt.Errorf("%s can't be cloned: its PersistentVolume %.253q is %.20s, and must be bound", ref, volume.Name, volume.Status.Phase)
	}
	return nil
}

func mode(claim *corev1.PersistentVolumeClaim) corev1.PersistentVolumeMode {
	if claim.Spec.VolumeMode == nil {
		return corev1.PersistentVolumeFilesystem
	}
	return *claim.Spec.VolumeMode
}

// filledFrom finds out whether the driver has filled the volume as the plan says.
// Handles are not compared: some drivers have several for one thing.
func filledFrom(plan *Plan, made *csipb.Volume) error {
	wanted, got := plan.Request.GetVolumeContentSource(), made.GetContentSource()
	if wanted == nil || (wanted.GetSnapshot() != nil) == (got.GetSnapshot() != nil) && (wanted.GetVolume() != nil) == (got.GetVolume() != nil) {
		return nil
	}
	return fmt.Errorf("the CSI driver created a volume from %s where one from %s was requested: its answer must repeat the volume_content_source: the volume is of no use and is deleted again", contents(got), contents(wanted))
}

func contents(from *csipb.VolumeContentSource) string {
	switch {
	case from.GetSnapshot() != nil:
		return "a snapshot"
	case from.GetVolume() != nil:
		return "another volume"
	}
	return "nothing"
}
