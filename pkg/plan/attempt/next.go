package attempt

import "github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"

// Want is what a claim is to its attempt.
type Want uint8

const (
	// Wanted: the claim wants the volume.
	Wanted Want = iota
	// Left: the claim is gone or being deleted, is bound to another volume, or now
	// belongs to another node's process.
	Left
	// Revoked: the claim wants the volume, but may no longer use the data source of
	// the current plan (KEP-3294).
	Revoked
)

// Claim is what a decision depends on besides the state.
type Claim struct {
	Want Want
	// Plan is what the planner wants to be done for the claim now; nil when it does
	// not act. It matters in the phases that say so ([Phase.Plans]), for a claim that
	// wants its volume.
	Plan *provision.Plan
}

// Action is what a step does.
type Action uint8

// The actions.
const (
	// Wait: there is nothing to do until something changes.
	Wait Action = iota
	// Look at the API server, not at a cache, whether the PersistentVolume of the
	// volume's name exists.
	Look
	// Record the step's Plans and Handle in the journal.
	Record
	// Create calls CreateVolume with the request of the current plan.
	Create
	// Store the PersistentVolume of the volume that was made, unless another one carries
	// the volume.
	Store
	// Remove calls DeleteVolume with the handle, unless a PersistentVolume carries the
	// volume.
	Remove
	// End the record in the journal.
	End
	// Report the step's News to the user, and go on later.
	Report
)

// String returns the name of the action.
func (a Action) String() string {
	return [...]string{"Wait", "Look", "Record", "Create", "Store", "Remove", "End", "Report"}[a]
}

// Step is what to do next. It is a value and can be compared.
type Step struct {
	Do Action
	// Plans and Handle are what to record. A handle is that of a volume that is to be
	// removed.
	Plans  Plans
	Handle string
	// Durable tells that an End must have been written before anything else is done:
	// the record says that the volume is to be removed, and a new volume may get the
	// same handle.
	Durable bool
	// News is what to report.
	News News
}

// Next says what to do about an attempt.
func Next(s State, c Claim) Step {
	switch {
	case s.News == Blocked:
		return Step{Do: Report, News: s.News}
	case s.Phase == Unusable:
		return s.mark()
	case s.Phase == Removing, s.Phase == Clearing:
		return Step{Do: Remove, Handle: s.Handle}
	case s.Phase == Cleared:
		return Step{Do: Record, Plans: s.Plans}
	case s.Phase == Void, s.Phase == Stored:
		return Step{Do: End, Durable: s.Phase == Void && s.Handle != ""}
	case s.News != None && !(c.Want == Left && s.Phase.Open()):
		// Where the claim has gone, nobody waits for the news of one of several
		// requests, and the next one is up.
		return Step{Do: Report, News: s.News}
	}
	switch s.Phase {
	case Idle:
		return begin(s, c)
	case Doubtful, Settled:
		if wants(c) {
			return Step{Do: Look}
		}
		return Step{Do: Wait}
	case Inherited:
		return Step{Do: Look}
	case Recorded:
		return recorded(s, c)
	case Ambiguous:
		if wants(c) && c.Plan.Supersedes(s.Plans.Current()) {
			return Step{Do: Record, Plans: s.Plans.begin(c.Plan)}
		}
		return Step{Do: Create}
	case Made:
		return made(s, c)
	default:
		return Step{Do: Create}
	}
}

func wants(c Claim) bool { return c.Want == Wanted && c.Plan != nil }

func begin(s State, c Claim) Step {
	if !wants(c) {
		return Step{Do: Wait}
	}
	return Step{Do: Record, Plans: s.Plans.begin(c.Plan)}
}

// recorded decides about a request that was never sent, so that it can't have made a
// volume; those that it has replaced may have.
func recorded(s State, c Claim) Step {
	others := s.Plans.drop()
	switch {
	case c.Want != Wanted && others.isEmpty() && !s.Plans.Inexact:
		return Step{Do: End}
	case wants(c) && c.Plan.Supersedes(s.Plans.Current()):
		return Step{Do: Record, Plans: others.begin(c.Plan)}
	}
	return Step{Do: Create}
}

// made decides about a volume that exists. Where its PersistentVolume may have been
// stored before, somebody may have used the volume: one that is to be retained is
// stored rather than removed, and one whose PersistentVolume was sent is stored in any
// case, as it may be there already.
func made(s State, c Claim) Step {
	used := s.Past == Earlier && s.Plans.Current().Retains()
	switch {
	case c.Want == Wanted, s.Past == Sent, c.Want == Left && used:
		return Step{Do: Store}
	case used:
		// To store it would hand over the data, and to remove it lose them, if the
		// claim has been bound before. Only the API server knows.
		return Step{Do: Look}
	}
	return s.mark()
}

// mark records that the volume is going to be removed. Who comes after a crash must
// not ask for it again while the driver may still be deleting it.
func (s State) mark() Step { return Step{Do: Record, Plans: s.Plans, Handle: s.Handle} }
