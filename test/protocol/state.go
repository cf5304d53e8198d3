package protocol

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/attempt"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// State is everything there is, at one moment: one claim and what belongs to it.
// It is a value that can be compared.
type State struct {
	// Claim is the claim at the API server.
	Claim Claim
	// Class is the number of the plan that the claim and its class lead to at present.
	Class uint8
	// Revoked tells that the claim may no longer use its data source.
	Revoked bool
	// PV is the claim's PersistentVolume at the API server.
	PV PV
	// Records is the journal, as it is stored.
	Records [slots]Record
	// Volume is the claim's volume at the driver.
	Volume Volume
	// Calls are under way to the driver, or in it.
	Calls [queue]Call
	// Lease is its holder.
	Lease Holder
	// Processes are the two that may lead.
	Processes [2]Process
	// LateRecord and LatePV are writes of processes that have ended since, which
	// the API server may yet do.
	LateRecord Record
	LatePV     Handle
	// Backup is a record that somebody has kept. Forged and Restored count the records
	// that others than the processes have written.
	Backup           Record
	Forged, Restored uint8
	// TooLate tells that the PersistentVolume was to be retained when the driver had been
	// told to delete the volume.
	TooLate bool
	// Retired tells that a PersistentVolume and its volume have been deleted.
	Retired bool
	// Handles counts the volumes made, Changes those of the class, and Revocations those
	// of the grant.
	Handles, Changes, Revocations uint8
	// Left is what may still go wrong.
	Left Budget
	// Harm is what has been done and can't be undone.
	Harm Fault
}

const (
	// slots bounds the records that are stored at a time.
	slots = 3
	// queue bounds the calls that are under way at a time.
	queue = 3
)

// Claim is where a claim is in its life. One that is bound to another volume is
// as good as gone.
type Claim uint8

// The states of a claim.
const (
	Unbound Claim = iota
	Bound
	Gone
)

// Record is one of the journal, as it is stored; there is none without plans.
type Record struct {
	Plans attempt.Plans
	// Handle is the volume that is being deleted, if it is.
	Handle Handle
	// Replaces are the records before it. They no longer count, but for their requests.
	Replaces places
	// Forged tells that no process has written it, and Old that it was restored so late
	// that it counts only while its claim exists.
	Forged, Old bool
}

// places are numbers of records, as a set of bits.
type places uint8

func (p places) has(slot int) bool { return p&(1<<slot) != 0 }

func (p places) with(slot int) places { return p | 1<<slot }

func (p places) without(slot int) places { return p &^ (1 << slot) }

// put stores a record, or removes one. What was said of the one before says nothing of it.
func (s *State) put(slot int, r Record) {
	for other := range s.Records {
		s.Records[other].Replaces = s.Records[other].Replaces.without(slot)
	}
	s.LateRecord.Replaces = s.LateRecord.Replaces.without(slot)
	r.Replaces = r.Replaces.without(slot)
	s.Records[slot] = r
}

// replaced tells whether another record says that this one no longer counts.
func (m Model) replaced(s State, slot int) bool {
	for _, other := range s.Records {
		if other.Replaces.has(slot) && !(other.Forged && m.Signed) {
			return true
		}
	}
	return false
}

// IsNone tells whether there is no record.
func (r Record) IsNone() bool { return r.Plans.Current() == nil }

// Handle is the driver's name for a volume; empty for none.
type Handle = string

// Holder is a process by its number, from one. Zero is none.
type Holder uint8

// PV is a PersistentVolume; there is none without a handle.
type PV struct {
	Handle Handle
	// Keep is the reclaim policy Retain.
	Keep bool
	// Finalizer keeps the object until the sidecar lets it go.
	Finalizer bool
	// Released tells that the claim has gone.
	Released bool
	// Moved tells that it has another name than the volume.
	Moved bool
}

// named is the PersistentVolume that has the name of the volume.
func (p PV) named() PV {
	if p.Moved {
		return PV{}
	}
	return p
}

// Volume is one at the driver; there is none without a handle.
type Volume struct {
	Handle Handle
	Plan   *provision.Plan
	// Unfit tells that it can't be used.
	Unfit bool
	// Kept tells that the user has deleted the PersistentVolume to keep this.
	Kept bool
	// Dropped tells that the user has deleted the PersistentVolume, which retains this,
	// before anybody used it: it is for the user to delete.
	Dropped bool
}

// Call is one to the driver: CreateVolume with the request of a plan, or DeleteVolume
// with a handle.
type Call struct {
	Plan   *provision.Plan
	Handle Handle
	// Owner waits for the answer; nobody does when the process has ended or given
	// up.
	Owner Holder
}

// Process is what one process knows. Without anything it is a standby that has
// just been started.
type Process struct {
	// Leads tells that it believes to have the lease.
	Leads bool
	// Ready tells that it has read the journal.
	Ready bool
	// Claim, PV and Revoked are its caches.
	Claim   Claim
	PV      PV
	Revoked bool
	// Caught tells that it has seen the PersistentVolume since it leads.
	Caught bool
	// Known are the records of the journal that it knows.
	Known [slots]Known
	// Attempt is the product's.
	Attempt attempt.State
	// Busy is the call under way: Create or Remove for the attempt; Wait for none.
	Busy attempt.Action
	// Deletion is how far the deletion of the PersistentVolume's volume is, and Handle
	// which one.
	Deletion Deletion
	Handle   Handle
	// Deleted is the handle of the PersistentVolume that it has deleted.
	Deleted Handle
}

// Known is what a process knows of a record that is stored.
type Known uint8

// A record that has ended is stored until its removal has been written.
const (
	None Known = iota
	Open
	Ended
)

// Deletion is how far the deletion of the volume of a PersistentVolume is.
type Deletion uint8

// The stages of a deletion.
const (
	// Undecided: nothing is under way.
	Undecided Deletion = iota
	// Decided: the call waits for its turn.
	Decided
	// Deleting: DeleteVolume is under way.
	Deleting
	// Deleted: the PersistentVolume is to be deleted.
	Deleted
)

// Budget is how often something may go wrong.
type Budget struct {
	// Faults are errors of driver and API server, and answers that are lost.
	Faults uint8
	// Crashes are ends of a process at work.
	Crashes uint8
	// Pauses are ends of a lease whose holder has not noticed.
	Pauses uint8
}

// String shows what is outside of the processes, and the phase of each leader.
func (s State) String() string {
	claim := [...]string{"unbound", "bound", "gone"}[s.Claim]
	pv, volume := "-", "-"
	if s.PV.Handle != "" {
		pv = s.PV.Handle + word(s.PV.Keep, "+keep") + word(s.PV.Finalizer, "+finalizer") + word(s.PV.Released, "+released") + word(s.PV.Moved, "+moved")
	}
	if s.Volume.Handle != "" {
		volume = s.Volume.Handle + word(s.Volume.Unfit, "+unfit") + word(s.Volume.Kept, "+kept by the user")
	}
	phases := ""
	for who, p := range s.Processes {
		if p.Leads {
			phases += fmt.Sprintf(" %c:%s", 'A'+who, p.Attempt.Phase)
		}
	}
	return fmt.Sprintf("claim %s, records %s, volume %s, PV %s,%s", claim, s.records(), volume, pv, phases)
}

func (s State) records() string {
	list := ""
	for _, record := range s.Records {
		for _, plan := range record.Plans.All() {
			list += plan.Request.GetParameters()["class"] + word(record.Handle != "", "+remove") + word(record.Forged, "+forged") + word(record.Old, "+old") + " "
		}
	}
	return cmp.Or(strings.TrimSpace(list), "-")
}

func word(really bool, word string) string {
	if really {
		return word
	}
	return ""
}
