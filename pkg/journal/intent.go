package journal

import (
	"cmp"
	"slices"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// Intent says that a volume may exist at the driver, and holds what repeating
// the request, storing the PersistentVolume, and undoing it need. It holds no
// secrets, only references to them.
type Intent struct {
	Claim kube.ClaimKey
	// Plans are what the driver was or will be asked for, the current one first.
	// The others were replaced while it was open whether they had made a volume; in an
	// intent that was read, they may also be those of other processes.
	Plans []*provision.Plan
	// Useless is the handle of a volume that was made, and is to be deleted; mostly
	// empty. In an intent that was read, it may be that of another process than the first
	// plan.
	Useless string
	// Partial tells, for an intent that was read, that it had not fitted into a
	// batch with all its topology: the requests are not those that the driver
	// got.
	Partial bool
	// Forgotten tells that requests that were replaced are no longer remembered: one of
	// them may have made the volume. In an intent that was read, it may also tell that
	// records disagree about Useless.
	Forgotten bool
}

// Exact tells whether the plans are all the requests that the driver may have got for
// the claim, as it got them.
func (i *Intent) Exact() bool { return !i.Partial && !i.Forgotten }

// holds tells whether the intent has all the requests of the other one, and the same
// reservations about them.
func (i *Intent) holds(other *Intent) bool {
	if other.Partial && !i.Partial || other.Forgotten && !i.Forgotten {
		return false
	}
	for _, plan := range other.Plans {
		if !slices.ContainsFunc(i.Plans, plan.Repeats) {
			return false
		}
	}
	return true
}

// tells tells whether the other intent says nothing new.
func (i *Intent) tells(other *Intent) bool {
	return i.holds(other) && (other.Useless == "" || other.Useless == i.Useless)
}

// merge returns one intent that says what several of one claim say, of which the first
// is the newest: its plans first, then the plans of the others that ask for something
// else, and the newest handle of a volume to be deleted. Those that were replaced come
// last, and tell of no such volume any more. Where the others disagree about it, one was
// written late, and not everything is known.
func merge(heads, replaced []*Intent) *Intent {
	if len(heads) == 1 && len(replaced) == 0 {
		return heads[0]
	}
	merged := union(slices.Concat(heads, replaced))
	for _, intent := range heads {
		merged.Forgotten = merged.Forgotten || intent.Useless != heads[0].Useless
	}
	return merged
}

// union returns all that intents of one claim say.
func union(all []*Intent) *Intent {
	one := &Intent{Claim: all[0].Claim}
	for _, intent := range all {
		for _, plan := range intent.Plans {
			if !slices.ContainsFunc(one.Plans, plan.Repeats) {
				one.Plans = append(one.Plans, plan)
			}
		}
		one.Useless = cmp.Or(one.Useless, intent.Useless)
		one.Partial = one.Partial || intent.Partial
		one.Forgotten = one.Forgotten || intent.Forgotten
	}
	return one
}

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
	// SetAside is that of a record that is not acted upon, and is kept.
	SetAside State = "set-aside"
)
