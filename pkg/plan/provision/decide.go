package provision

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// Verdict is what to do about a claim.
type Verdict uint8

const (
	// Skip: there is nothing to do until the claim changes.
	Skip Verdict = iota
	// Leave: the claim is for somebody else to fill; the decision's Message
	// says so to its user.
	Leave
	// Reject: the claim can't be provisioned as things are; the decision's Err
	// says why.
	Reject
	// Reschedule: the selected node is of no use; another must be selected. Err
	// says why.
	Reschedule
	// Act: the decision's Plan is to be carried out.
	Act
)

// Decision is the answer to an [Input].
type Decision struct {
	Verdict Verdict
	Message string
	Err     error
	Plan    *Plan
}

func reject(err error) Decision { return Decision{Verdict: Reject, Err: err} }

// Decide says what to do about a claim.
func Decide(in Input) Decision {
	if !concerns(in) {
		return Decision{Verdict: Skip}
	}
	class := ClassName(in.Claim)
	if in.Class == nil {
		return reject(fmt.Errorf("StorageClass %.253q does not exist: create it, or create the claim with another spec.storageClassName", class))
	}
	if !in.Driver.Serves(in.Class) || waitsForConsumer(in) {
		return Decision{Verdict: Skip}
	}
	if in.ClassErr != nil {
		return reject(in.ClassErr)
	}
	if kind, foreign := populated(in.Claim); foreign {
		return Decision{Verdict: Leave, Message: fmt.Sprintf("Waiting for a volume populator to provision the claim: its data source is of kind %.253s", kind)}
	}
	if err := supported(in); err != nil {
		return reject(err)
	}
	plan, err := newPlan(in)
	var gone *topology.NodeGoneError
	if errors.As(err, &gone) {
		return Decision{Verdict: Reschedule, Err: err}
	}
	if err != nil {
		return reject(err)
	}
	return Decision{Verdict: Act, Plan: plan}
}

// concerns tells whether the claim still needs a volume of this driver. A claim
// that is being deleted does not; the peers provision it all the same.
func concerns(in Input) bool {
	return in.Claim.Spec.VolumeName == "" &&
		in.Claim.DeletionTimestamp == nil &&
		in.Driver.IsAsked(in.Claim) &&
		!in.VolumeStored
}

func waitsForConsumer(in Input) bool {
	mode := in.Class.VolumeBindingMode
	return mode != nil && *mode == storagev1.VolumeBindingWaitForFirstConsumer && SelectedNode(in.Claim) == ""
}

const snapshotGroup = "snapshot.storage.k8s.io"

// source returns the kind and the API group of the claim's data source; both
// empty without one.
func source(claim *corev1.PersistentVolumeClaim) (kind, group string) {
	var apiGroup *string
	switch {
	case claim.Spec.DataSource != nil:
		kind, apiGroup = claim.Spec.DataSource.Kind, claim.Spec.DataSource.APIGroup
	case claim.Spec.DataSourceRef != nil:
		kind, apiGroup = claim.Spec.DataSourceRef.Kind, claim.Spec.DataSourceRef.APIGroup
	}
	if apiGroup != nil {
		group = *apiGroup
	}
	return kind, group
}

// SourceKind returns the kind of the claim's data source; empty without one.
func SourceKind(claim *corev1.PersistentVolumeClaim) string {
	kind, _ := source(claim)
	return kind
}

// populated tells whether the claim's data comes from a kind of object that
// volume populators serve.
func populated(claim *corev1.PersistentVolumeClaim) (kind string, foreign bool) {
	kind = SourceKind(claim)
	return kind, kind != "" && kind != "VolumeSnapshot" && kind != "PersistentVolumeClaim"
}

// supported finds what this driver, or this program, can't do for the claim.
func supported(in Input) error {
	if missing := in.Driver.Capabilities.MissingForVolumes(); missing != "" {
		return fmt.Errorf("CSI driver %q can't create volumes, as it does not report the %s: use a class of another driver, or create the volume by hand", in.Driver.Name, missing)
	}
	if in.Claim.Spec.Selector != nil {
		return errors.New("the claim has a spec.selector, which selects among existing volumes and can't be used with dynamic provisioning: create the claim without it, or with an empty spec.storageClassName")
	}
	if kind, group := source(in.Claim); kind == "VolumeSnapshot" && group != snapshotGroup {
		return fmt.Errorf("the claim's data source is a VolumeSnapshot of API group %.253q: its apiGroup must be %q", group, snapshotGroup)
	} else if kind != "" {
		return fmt.Errorf("the claim's data source is a %.253s: this version creates empty volumes only", kind)
	}
	if name := in.Claim.Spec.VolumeAttributesClassName; name != nil && *name != "" {
		return fmt.Errorf("the claim names the VolumeAttributesClass %.253q: this version creates volumes without one only", *name)
	}
	if in.Claim.UID == "" {
		return errors.New("the claim has no metadata.uid")
	}
	return nil
}
