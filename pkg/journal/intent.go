package journal

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// Intent says that a volume may exist at the driver, and holds what repeating
// the request, storing the PersistentVolume, and undoing it need. It holds no
// secrets, only references to them.
type Intent struct {
	Claim kube.ClaimKey
	// Plans are what the driver was or will be asked for, the current one first.
	// The others were replaced while it was open whether they had made a volume.
	Plans []*provision.Plan
	// Useless is the handle of a volume that was made, and is to be deleted; mostly
	// empty.
	Useless string
	// Partial tells, for an intent that was read, that it had not fitted into a
	// segment with all its topology: the requests are not those that the driver
	// got.
	Partial bool
	// Forgotten tells that requests that were replaced are no longer remembered: one of
	// them may have made the volume.
	Forgotten bool
}

// Exact tells whether the plans are all the requests that the driver may have got for
// the claim, as it got them.
func (i *Intent) Exact() bool { return !i.Partial && !i.Forgotten }

// Covers tells whether this intent, recorded, makes recording the other needless:
// who reads it would repeat the same request first, and knows of all the others.
func (i *Intent) Covers(other *Intent) bool {
	if i.Plans[0] != other.Plans[0] || i.Useless != other.Useless || i.Forgotten != other.Forgotten {
		return false
	}
	for _, plan := range other.Plans {
		if !slices.Contains(i.Plans, plan) {
			return false
		}
	}
	return true
}

// State is how far an intent is.
type State string

// The states of intents.
const (
	// Creating is that of an intent whose claim wants the volume.
	Creating State = "creating"
	// Undoing is that of an intent whose claim has gone.
	Undoing State = "undoing"
	// Ended is that of an intent whose record has not been dropped yet.
	Ended State = "ended"
	// Unreadable is that of a record that can't be read, and is kept.
	Unreadable State = "unreadable"
)

// record is where an intent is, and what has become of it.
type record struct {
	intent *Intent
	state  State
	// segments are those that hold a key of the claim, with this or an earlier
	// intent. There are none while the journal is off.
	segments map[string]struct{}
	// since is when the intent was first seen by this process.
	since time.Time
	// settled get the outcome when the last record is dropped, or can't be.
	settled []chan<- error
}

// answer tells those who wait for the end of the record.
func (r *record) answer(err error) {
	for _, done := range r.settled {
		done <- err
	}
	r.settled = nil
}

// answerAll tells all who wait for the end of any record. It is called with the
// journal's lock.
func (j *Journal) answerAll(err error) {
	for _, r := range j.records {
		r.answer(err)
	}
}

type records map[types.UID]*record
