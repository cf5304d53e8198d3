package expand

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Decide says what to do about a claim.
func Decide(in Input) Decision {
	if !concerns(in) {
		return Decision{Verdict: Skip}
	}
	s := newState(in)
	// The annotation matters to the volume's next claim, so that it must go even
	// if this one does.
	if volume, stale := unannotated(in, s); stale {
		return Decision{Verdict: Unannotate, Volume: volume}
	}
	// Peers expand the volumes of claims that are being deleted, too.
	if in.Claim.DeletionTimestamp != nil || s.requested.Cmp(s.capacity) <= 0 {
		return Decision{Verdict: Skip}
	}
	if !in.Capabilities.ControllerExpand && !in.Capabilities.NodeExpand {
		return reject(fmt.Errorf("CSI driver %q can't expand volumes: it reports neither the controller capability EXPAND_VOLUME nor the node capability of that name", in.Driver))
	}
	next, ok := s.goal()
	if !ok {
		return Decision{Verdict: Skip}
	}
	if s.status == corev1.PersistentVolumeClaimControllerResizeInfeasible && s.aimedAt(next.size) && !in.Rested {
		return Decision{Verdict: Pause}
	}
	return act(in, s, next)
}

func reject(err error) Decision { return Decision{Verdict: Reject, Err: err} }

// concerns tells whether the claim is bound to a volume of this driver. Nothing
// but the volume itself says whose it is: anybody may annotate a claim, and the
// handle and the Secret of another driver's volume must not reach this one.
func concerns(in Input) bool {
	claim, volume := in.Claim, in.Volume
	if volume == nil || claim.Spec.VolumeName != volume.Name || claim.Status.Phase != corev1.ClaimBound {
		return false
	}
	csi := source(volume)
	return csi != nil && csi.Driver == in.Driver && bound(in)
}

// bound tells whether the volume says that it is the claim's.
func bound(in Input) bool {
	ref := in.Volume.Spec.ClaimRef
	return ref != nil && ref.Namespace == in.Claim.Namespace && ref.Name == in.Claim.Name && ref.UID == in.Claim.UID
}

// Awaits tells whether the claim waits for its volume: it names one that is not there,
// or that does not name the claim yet. Informers of claims and of volumes may show the
// two sides of a binding in any order.
func Awaits(in Input) bool {
	return in.Claim.Spec.VolumeName != "" && (in.Volume == nil || !bound(in))
}

// source returns what the volume is to its CSI driver; nil when it is of another
// kind.
func source(volume *corev1.PersistentVolume) *corev1.CSIPersistentVolumeSource {
	return volume.Spec.CSI
}

// act plans an attempt, after what must come before it.
func act(in Input, s state, next goal) Decision {
	plan, err := newPlan(in, s, next)
	if err != nil {
		return reject(err)
	}
	volume, err := backfilled(in, plan)
	if err != nil {
		return reject(err)
	}
	if volume != nil {
		return Decision{Verdict: Backfill, Volume: volume}
	}
	decision := Decision{Verdict: Act, Plan: plan}
	if plan.Begins {
		decision.Warning = nodeSecretWarning(in)
	}
	return decision
}
