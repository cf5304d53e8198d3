package protocol

// Safeguards are what the protocol consists of. Each can be taken out.
type Safeguards struct {
	// Journal: an intent is stored before the driver is called.
	Journal bool
	// ExactRepeat: an intent of a former process is repeated as it is recorded,
	// not as the class says now.
	ExactRepeat bool
	// PendingOpen: a call without an answer is repeated until there is one.
	PendingOpen bool
	// AmbiguousOpen: an error that does not say whether there is a volume does
	// not end the attempt.
	AmbiguousOpen bool
	// LookForPV: before an intent of a former process is repeated, the
	// PersistentVolume is looked for at the API server, not in the cache.
	LookForPV bool
	// RestorePV: when an inherited attempt is undone and the class's policy is
	// Retain, the PersistentVolume is stored rather than the volume deleted.
	RestorePV bool
	// LookWhenRefused: when the API server refuses the PersistentVolume for good,
	// it is looked for before the volume is deleted.
	LookWhenRefused bool
	// KeepSent: when it is not there, but may have been, and the class's policy
	// is Retain, the volume is not deleted.
	KeepSent bool
	// DeletionWaits: the volume of a PersistentVolume is deleted when the
	// removal of its intents has been written.
	DeletionWaits bool
	// FinalizerWaits: so is the finalizer of one whose policy has become Retain.
	FinalizerWaits bool
	// Expectation: a process that has stored the PersistentVolume does not begin
	// again while its cache does not show it yet.
	Expectation bool
	// Remember: nor later, when there has been a PersistentVolume that it made
	// or saw, before it has asked the API server.
	Remember bool
	// FreshStart: a new leader waits until its caches are as new as its lease. (The
	// program does not wait: for claims that are older than its lease, it is as
	// with AlwaysAsk.)
	FreshStart bool
	// AlwaysAsk: claim and PersistentVolume are read from the API server before
	// every intent; it can take the place of Remember and FreshStart.
	AlwaysAsk bool
	// Fence: a process that has lost its lease makes no new call or write.
	Fence bool
	// Compare: a PersistentVolume that exists already counts as stored only when
	// it has the same handle.
	Compare bool
	// DropUncertain: an intent whose write had no answer is removed in the end.
	DropUncertain bool
	// MarkUseless: that a volume is going to be deleted is written into its
	// intents first, for drivers that are not ByVolume.
	MarkUseless bool
	// ReadAgain: the leader looks for intents of former processes again, later,
	// for LateWrites.
	ReadAgain bool
}

// Full returns the protocol as it is.
func Full() Safeguards {
	return Safeguards{
		Journal: true, ExactRepeat: true, PendingOpen: true, AmbiguousOpen: true, LookForPV: true,
		RestorePV: true, LookWhenRefused: true, KeepSent: true, DeletionWaits: true, FinalizerWaits: true, Expectation: true, Remember: true,
		FreshStart: true, Fence: true, Compare: true, DropUncertain: true, MarkUseless: true, ReadAgain: true,
	}
}

// Serial is how a driver handles calls for one volume at a time.
type Serial uint8

// What a driver that gets a second call may do before the first is over.
const (
	// ByVolume: it aborts the second, as the CSI specification suggests.
	ByVolume Serial = iota
	// ByCall: CreateVolume and DeleteVolume do not see each other.
	ByCall
	// Never: it works on all at once.
	Never
)

// World is what the protocol has to live with.
type World struct {
	// Retain is the reclaim policy of the class; Delete otherwise.
	Retain bool
	// Mended: the class may be changed, once.
	Mended bool
	// Patched: the user may change the policy of the PersistentVolume to Retain.
	Patched bool
	// SameHandle: a volume that is made again has the handle that it had.
	SameHandle bool
	// Serial is how the driver handles calls at the same time.
	Serial Serial
	// LateWrites: the API server may do a write of a process after its end, at
	// any time.
	LateWrites bool
	// Lenient: that a deleted volume is made again, for nothing, is no fault.
	Lenient bool
	// Budget is how often something may go wrong.
	Budget Budget
}

// Model is a protocol in its world.
type Model struct {
	Safeguards
	World
}

// Move is a step from one state to another.
type Move struct {
	// Who is the number of a process; zero is the world.
	Who Holder
	// What is done.
	What string
	// Due tells that it happens in the end if it can; other moves may never
	// happen.
	Due bool
	// To is the state after it.
	To State
}

// Initial returns the state in which the claim has just appeared: the first
// process leads, the second stands by.
func (m Model) Initial() State {
	s := State{Class: 1, Lease: 1, Left: m.Budget}
	s.Processes[0] = Process{Leads: true, Ready: true}
	return s
}

// Moves returns all that can happen next.
func (m Model) Moves(s State) []Move {
	if s.Harm != Fine {
		return nil
	}
	b := &moves{model: m, from: s}
	b.user()
	b.cluster()
	b.driver()
	for who := Holder(1); who <= 2; who++ {
		b.lease(who)
		b.caches(who)
		b.crash(who)
		p := s.Processes[who-1]
		if p.Leads && (s.Lease == who || !m.Fence) {
			b.process(who)
		}
	}
	return b.list
}

// moves collects the moves from a state.
type moves struct {
	model Model
	from  State
	list  []Move
}

// may adds a move that can happen, must one that does so in the end. The state
// is handed to change, to be changed.
func (b *moves) may(who Holder, what string, change func(s *State)) {
	b.add(Move{Who: who, What: what}, change)
}

func (b *moves) must(who Holder, what string, change func(s *State)) {
	b.add(Move{Who: who, What: what, Due: true}, change)
}

// fault adds a move that is one of the few errors.
func (b *moves) fault(who Holder, what string, change func(s *State)) {
	if b.from.Left.Faults == 0 {
		return
	}
	b.may(who, what, func(s *State) { s.Left.Faults--; change(s) })
}

func (b *moves) add(m Move, change func(s *State)) {
	m.To = b.from
	change(&m.To)
	if m.To != b.from {
		b.list = append(b.list, m)
	}
}
