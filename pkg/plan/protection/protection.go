// Package protection decides how long the finalizers stay by which this program
// keeps snapshots and claims while volumes are made from them.
package protection

import (
	corev1 "k8s.io/api/core/v1"
)

// Verdict is what to do about a source's finalizer.
type Verdict uint8

const (
	// Leave: there is none, or it is somebody else's affair.
	Leave Verdict = iota
	// Keep: a volume is made from the source, or is wanted.
	Keep
	// Release: it must go.
	Release
)

// Input is everything that a decision depends on.
type Input struct {
	// Driver is the driver that this process works for.
	Driver string
	// Owner is the driver whose data the source is; empty where that is not known.
	Owner string
	// Protected tells that the source has the finalizer, Deleting that it is being
	// deleted.
	Protected, Deleting bool
	// InUse tells that a volume may be under way that is made from the source,
	// whatever has become of its claim.
	InUse bool
	// Claims are those that name the source and the driver.
	Claims []*corev1.PersistentVolumeClaim
}

// Decide says what to do. A source belongs to the volumes of one driver only, so
// that the sidecars of others leave it alone. Where nobody knows any more whose it
// is, it is only freed when that keeps somebody from deleting it.
func Decide(in Input) Verdict {
	switch {
	case !in.Protected, in.Owner != "" && in.Owner != in.Driver:
		return Leave
	case in.InUse, wanted(in.Claims):
		return Keep
	case in.Owner == "" && !in.Deleting:
		return Leave
	}
	return Release
}

// wanted tells whether a claim is still to get its volume. What it has failed to
// get so far it will try again.
func wanted(claims []*corev1.PersistentVolumeClaim) bool {
	for _, claim := range claims {
		if claim.Spec.VolumeName == "" && claim.DeletionTimestamp == nil {
			return true
		}
	}
	return false
}
