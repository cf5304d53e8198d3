package attempt

import "github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"

// Phase is how far an attempt is; see the package comment for what each one means.
type Phase uint8

// The phases.
const (
	Idle Phase = iota
	Doubtful
	Inherited
	Recorded
	Uncertain
	Full
	Ambiguous
	Made
	Unusable
	Removing
	Clearing
	Cleared
	Void
	Stored
	Settled
)

// Phases returns all phases, in their order.
func Phases() []Phase {
	return []Phase{Idle, Doubtful, Inherited, Recorded, Uncertain, Full, Ambiguous, Made, Unusable, Removing, Clearing, Cleared, Void, Stored, Settled}
}

// String returns the name of the phase.
func (p Phase) String() string {
	return [...]string{"Idle", "Doubtful", "Inherited", "Recorded", "Uncertain", "Full", "Ambiguous", "Made", "Unusable", "Removing", "Clearing", "Cleared", "Void", "Stored", "Settled"}[p]
}

// Open tells whether there is a record in the journal that must not be forgotten.
func (p Phase) Open() bool {
	switch p {
	case Idle, Doubtful, Settled:
		return false
	default:
		return true
	}
}

// Plans tells whether [Next] needs the planner's plan for a claim that wants its
// volume.
func (p Phase) Plans() bool {
	switch p {
	case Idle, Doubtful, Recorded, Ambiguous, Settled:
		return true
	default:
		return false
	}
}

// State is an attempt at one moment. It is a value and can be compared. The zero
// value is an attempt that has not begun, for a claim that certainly has no volume.
type State struct {
	Phase Phase
	// Plans are those that may have made the volume. There is at least one in
	// every phase that is open.
	Plans Plans
	// Handle is the driver's name for the volume: in Made, Unusable, Removing and
	// Clearing. In Inherited, it is that of a volume whose removal is recorded; in
	// Cleared and Void, that of one that was removed.
	Handle string
	// Past tells whether a PersistentVolume may have been stored before.
	Past Past
	// News is what must be told before anything else is begun.
	News News
}

// Past is what is known of a PersistentVolume that may have been stored before: it
// may have been used, and deleted by someone who wants to keep the volume.
type Past uint8

const (
	// Never: none has been sent.
	Never Past = iota
	// Earlier: another process may have stored one; it is not there now.
	Earlier
	// Sent: this process has sent one, and got no clear answer.
	Sent
)

// News is what must be told before anything else is begun.
type News uint8

const (
	// None: there is nothing to tell.
	None News = iota
	// Succeeded: the PersistentVolume was stored just now.
	Succeeded
	// Paused: there is nothing to do until the claim or its PersistentVolume
	// changes, and nothing to tell.
	Paused
	// Blocked: a step has failed. It is tried again after a back-off, and nothing
	// else is done before.
	Blocked
	// Refused: a request is over, without a volume. What it left is cleaned up
	// before this is told.
	Refused
	// Infeasible requests are Refused, and the same request will not succeed.
	Infeasible
	// Elsewhere: like Refused; another node may have what the selected one lacks.
	Elsewhere
)

// MaxPlans is the number of different requests that an attempt remembers. Each is as
// large as the topology of the cluster, and is kept in memory and in the journal.
const MaxPlans = 4

// Plans are the requests that may have made the volume, the current one first. They
// all have the same volume name. It is a value and can be compared.
type Plans struct {
	list [MaxPlans]*provision.Plan
	// Inexact tells that what is known of the requests is not all: one that may have
	// made the volume was not remembered, or not in full, or records disagree about
	// the volume. Then no refusal proves that there is no volume, and nor does the
	// removal of a volume that another process has recorded.
	Inexact bool
}

// NewPlans returns the plans, the current one first. Those that repeat the request of
// another, and those beyond MaxPlans, are left out; for the latter, it is inexact.
func NewPlans(inexact bool, plans ...*provision.Plan) Plans {
	p := Plans{Inexact: inexact}
	for _, plan := range plans {
		p = p.add(plan)
	}
	return p
}

// Current returns the plan to be carried out; nil when there is none.
func (p Plans) Current() *provision.Plan { return p.list[0] }

// All returns the plans, the current one first.
func (p Plans) All() []*provision.Plan {
	for n, plan := range p.list {
		if plan == nil {
			return p.list[:n]
		}
	}
	return p.list[:]
}

// begin returns the plans with next as the current one.
func (p Plans) begin(next *provision.Plan) Plans {
	return NewPlans(p.Inexact, append([]*provision.Plan{next}, p.All()...)...)
}

// add returns the plans with one more, as the last.
func (p Plans) add(plan *provision.Plan) Plans {
	for n, known := range p.list {
		switch {
		case known == nil:
			p.list[n] = plan
			return p
		case known.Repeats(plan):
			return p
		}
	}
	p.Inexact = true
	return p
}

// drop returns the plans without the current one; none when it was the only one.
func (p Plans) drop() Plans {
	copy(p.list[:], p.list[1:])
	p.list[MaxPlans-1] = nil
	return p
}

// isEmpty tells whether there are none.
func (p Plans) isEmpty() bool { return p.list[0] == nil }
