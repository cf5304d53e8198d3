package protocol

import (
	"strconv"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// Safeguards are what surrounds the state machine of an attempt. Each can be taken out.
type Safeguards struct {
	// Journal: a record is stored before the driver is called.
	Journal bool
	// ExactRepeat: a request of a former process is repeated as it is recorded,
	// not as the class says now.
	ExactRepeat bool
	// PendingOpen: a call without an answer is not taken for one that made nothing.
	PendingOpen bool
	// InternalOpen: nor is an error that does not say whether there is a volume.
	InternalOpen bool
	// RefusalsOpen: nor is a refusal that says nothing about an earlier call, such as
	// that of expired credentials.
	RefusalsOpen bool
	// Inexact: that requests were forgotten, or not recorded in full, is remembered.
	Inexact bool
	// AllRecords: all records of the claim are taken up, not just one.
	AllRecords bool
	// ReplacedRecords: the requests of a record that was replaced count.
	ReplacedRecords bool
	// RecordedRemoval: that a removal was recorded counts in inexact records, too.
	RecordedRemoval bool
	// LookForPV: before what a former process recorded is repeated, the
	// PersistentVolume is looked for at the API server, not in the cache.
	LookForPV bool
	// RememberPast: it is remembered that another process, or a write without an
	// answer, may have stored the PersistentVolume before.
	RememberPast bool
	// LookWhenRefused: when the API server refuses the PersistentVolume for good,
	// it is looked for before the volume is deleted.
	LookWhenRefused bool
	// DeletionWaits: the volume of a PersistentVolume is deleted when the
	// removal of its records has been written.
	DeletionWaits bool
	// FinalizerWaits: so is the finalizer of one whose policy has become Retain.
	FinalizerWaits bool
	// LookAgain: a deletion that has waited is decided on again.
	LookAgain bool
	// GrantsAgain: whether the claim may use its data source is looked at again before
	// the data is handed over.
	GrantsAgain bool
	// Remember: a process that has stored the PersistentVolume does not begin again,
	// whatever its cache shows, before it has asked the API server.
	Remember bool
	// FreshStart: a new leader waits until its caches are as new as its lease, and
	// remembers the PersistentVolumes that they show from then on.
	FreshStart bool
	// Settle: a record that a volume is to be removed is gone before another volume is
	// made.
	Settle bool
	// Fence: a process that has lost its lease makes no new call or write.
	Fence bool
	// Compare: a PersistentVolume that exists already counts as stored only when
	// it has the same handle.
	Compare bool
	// DropUncertain: a record whose write had no answer is removed in the end.
	DropUncertain bool
	// MarkRemoval: that a volume is going to be removed is recorded first, for drivers
	// that are not ByVolume.
	MarkRemoval bool
	// ReadAgain: the leader looks for records of former processes again, later,
	// for LateRecords.
	ReadAgain bool
	// Signed: of a record that no process has written counts what the claim confirms.
	Signed bool
	// SignAgain: such a record is signed before anything is done about it.
	SignAgain bool
	// LookForClaim: whether the claim exists is asked of the API server, not the cache.
	LookForClaim bool
	// Needless: nor does such a record, or an old one, count whose volume is stored.
	Needless bool
	// SetAside: nor does one count that is old, while its claim does not exist.
	SetAside bool
	// Holder: no volume is deleted or given away that a PersistentVolume carries,
	// whatever its name and its claim.
	Holder bool
}

// Full returns the protocol as it is.
func Full() Safeguards {
	return Safeguards{
		Journal: true, ExactRepeat: true, PendingOpen: true, InternalOpen: true, RefusalsOpen: true, Inexact: true,
		AllRecords: true, ReplacedRecords: true, RecordedRemoval: true, LookForPV: true, RememberPast: true, LookWhenRefused: true,
		DeletionWaits: true, FinalizerWaits: true, LookAgain: true, GrantsAgain: true, Remember: true, FreshStart: true,
		Settle: true, Fence: true, Compare: true, DropUncertain: true, MarkRemoval: true, ReadAgain: true,
		Signed: true, SignAgain: true, LookForClaim: true, Needless: true, SetAside: true, Holder: true,
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
	// Classes is how often the class may be changed.
	Classes uint8
	// Local: the volume is for a selected node, and a node that is full leads to
	// another one, which is another plan.
	Local bool
	// Patched: the user may change the policy of the PersistentVolume to Retain.
	Patched bool
	// Revoked is how often the grant for the claim's data source may be revoked. It is
	// granted again each time.
	Revoked uint8
	// Mistakes: the user may delete a PersistentVolume before its claim is bound, and
	// create one again that was deleted to keep the volume.
	Mistakes bool
	// Partial: records do not hold the requests in full.
	Partial bool
	// Unfit: the driver may make a volume that can't be used.
	Unfit bool
	// SameHandle: a volume that is made again has the handle that it had.
	SameHandle bool
	// Serial is how the driver handles calls at the same time.
	Serial Serial
	// LateRecords: the API server may write a record of a process after its end, at
	// any time. LatePVs: the same with a PersistentVolume.
	LateRecords, LatePVs bool
	// Forged and Restored are how many records others than the processes write: such as
	// they have made up, and such as they have from a backup. Old: the backup is old.
	Forged, Restored uint8
	Old              bool
	// Moved: the user may create a PersistentVolume again, which was deleted to keep the
	// volume, under another name.
	Moved bool
	// Lenient: that a deleted volume is made again, for nothing, is no fault.
	Lenient bool
	// Budget is how often something may go wrong.
	Budget Budget
}

// Model is a protocol in its world.
type Model struct {
	Safeguards
	World
	plans []*provision.Plan
	// bare is what is left of a request that is not recorded in full.
	bare *provision.Plan
}

// New returns a model.
func New(s Safeguards, w World) Model {
	m := Model{Safeguards: s, World: w}
	count := 1 + int(w.Classes)
	if w.Local {
		count = max(count, 2)
	}
	for n := range count {
		m.plans = append(m.plans, w.newPlan("r"+strconv.Itoa(n+1)))
	}
	m.bare = w.newPlan("bare")
	return m
}

func (w World) newPlan(class string) *provision.Plan {
	policy := corev1.PersistentVolumeReclaimDelete
	if w.Retain {
		policy = corev1.PersistentVolumeReclaimRetain
	}
	return &provision.Plan{
		Request:    &csipb.CreateVolumeRequest{Parameters: map[string]string{"class": class}},
		Volume:     &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: policy}},
		Reschedule: w.Local,
	}
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
	s := State{Lease: 1, Left: m.Budget}
	s.Processes[0] = Process{Leads: true, Ready: true, Caught: true}
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
	b.strangers()
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
