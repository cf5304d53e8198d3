package protection

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

// Unread is a record of a volume in creation that can't be read. All that is known of it
// is the UID of its claim.
type Unread struct {
	// Claim is that claim; nil if there is none.
	Claim *corev1.PersistentVolumeClaim
	// Fresh tells that the record was first seen so recently that its claim may exist
	// without being shown by the informer.
	Fresh bool
}

// MayUse tells whether the volume of a record that can't be read may be made from a
// source. A claim names one source, which can't be changed, so the record can concern
// no other one.
//
// A claim that has a volume needs its source no more. Nor does a record whose claim is
// gone keep any source: nobody gets that volume, all that is left to do is to delete it,
// and which source it is made from nobody can tell. If its source is deleted, the driver
// may refuse to repeat the request, and the record then stays until an operator takes
// care of the volume, as with any record that can't be read. To keep every source of the
// cluster instead, for as long as there is such a record, would keep users from deleting
// their snapshots and claims, and namespaces with them, because of a volume that nobody
// wants.
func MayUse(record Unread, key source.Key) bool {
	if record.Claim == nil {
		return record.Fresh
	}
	ref, ok := source.Of(record.Claim)
	return ok && ref.Key == key && record.Claim.Spec.VolumeName == ""
}
