package provision

import (
	"errors"
	"fmt"

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
	// Await: there is nothing to do until the claim or its class changes, and
	// nobody need be told: another node's process may do what is to be done.
	Await
	// Compete: the claim belongs to no node yet. This one may take it after a while,
	// if the driver has the decision's Room.
	Compete
)

// Decision is the answer to an [Input].
type Decision struct {
	Verdict Verdict
	Message string
	Err     error
	Plan    *Plan
	Room    Room
}

func reject(err error) Decision { return Decision{Verdict: Reject, Err: err} }

// Decide says what to do about a claim.
func Decide(in Input) Decision {
	if decision, decided := decideClaim(in); decided {
		return decision
	}
	if decision, decided := decideSource(in); decided {
		return decision
	}
	if err := supported(in); err != nil {
		return reject(err)
	}
	if err := sourceSupported(in); err != nil {
		return reject(err)
	}
	if in.Taken != nil {
		return reject(fmt.Errorf("%w: their volumes have the same name: is --volume-name-uuid-length too short?", in.Taken))
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

// decideClaim decides what depends on nothing but the claim and its class.
func decideClaim(in Input) (decision Decision, decided bool) {
	if !concerns(in) || in.Node.OtherNode(in.Claim) {
		return Decision{Verdict: Skip}, true
	}
	if in.Class == nil && in.nobodys() {
		return Decision{Verdict: Await}, true
	}
	if in.Class == nil {
		return reject(fmt.Errorf("StorageClass %.253q does not exist: create it, or create the claim with another spec.storageClassName", ClassName(in.Claim))), true
	}
	if !in.Driver.Serves(in.Class) || waitsForConsumer(in) {
		return Decision{Verdict: Skip}, true
	}
	if in.nobodys() {
		return compete(in), true
	}
	if in.ClassErr != nil {
		return reject(in.ClassErr), true
	}
	return Decision{}, false
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

// supported finds what this driver, or this program, can't do for the claim.
func supported(in Input) error {
	if missing := in.Driver.Capabilities.MissingForVolumes(); missing != "" {
		return fmt.Errorf("CSI driver %q can't create volumes, as it does not report the %s: use a class of another driver, or create the volume by hand", in.Driver.Name, missing)
	}
	if in.Claim.Spec.Selector != nil {
		return errors.New("the claim has a spec.selector, which selects among existing volumes and can't be used with dynamic provisioning: create the claim without it, or with an empty spec.storageClassName")
	}
	if in.Claim.UID == "" {
		return errors.New("the claim has no metadata.uid")
	}
	return nil
}
