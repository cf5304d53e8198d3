package protocol

import (
	"cmp"
	"fmt"
	"strings"
)

// State is everything there is, at one moment: one claim and what belongs to it.
// It is a value that can be compared.
type State struct {
	// Claim is the claim at the API server.
	Claim Claim
	// Class is the request that the claim and its class lead to at present.
	Class Request
	// PV is the claim's PersistentVolume at the API server.
	PV PV
	// Intents is the journal, as it is stored.
	Intents [slots]Record
	// Volume is the claim's volume at the driver.
	Volume Volume
	// Calls are under way to the driver, or in it.
	Calls [queue]Call
	// Lease is its holder.
	Lease Holder
	// Processes are the two that may lead.
	Processes [2]Process
	// LateIntent and LatePV are writes of processes that have ended since, which
	// the API server may yet do.
	LateIntent Request
	LatePV     Handle
	// Retired tells that a PersistentVolume and its volume have been deleted.
	Retired bool
	// Handles counts the volumes made.
	Handles Handle
	// Left is what may still go wrong.
	Left Budget
	// Harm is what has been done and can't be mended.
	Harm Fault
}

const (
	// slots bounds the intents that are stored at a time.
	slots = 2
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

// Request is what a driver is asked for. Two of them differ in more than their
// name, so that a driver takes one for the other no more. Zero is none.
type Request uint8

// Record is an intent as it is stored; there is none without a request.
type Record struct {
	Request Request
	// Useless is the volume that is being deleted, if it is.
	Useless Handle
}

// Handle is the driver's name for a volume. Zero is none.
type Handle uint8

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
}

// Volume is one at the driver; there is none without a handle.
type Volume struct {
	Handle  Handle
	Request Request
	// Kept tells that the user has deleted the PersistentVolume to keep this.
	Kept bool
}

// Call is one to the driver: CreateVolume with a request, or DeleteVolume with a
// handle.
type Call struct {
	Request Request
	Handle  Handle
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
	// Claim and PV are its caches.
	Claim Claim
	PV    PV
	// Known tells that there has been a PersistentVolume for the claim.
	Known bool
	// Deleted is the handle of the PersistentVolume that it has deleted.
	Deleted Handle
	// Intents are those of the journal that it knows.
	Intents [slots]Intent
	// Stage, with what follows, is its attempt at the volume.
	Stage   Stage
	Request Request
	// Replaced is an earlier request that may have made the volume, too.
	Replaced Request
	Handle   Handle
	// Inherited tells that a former process has begun the attempt.
	Inherited bool
	// Sent tells that its PersistentVolume has been sent, without an answer.
	Sent bool
	// Undo tells that the claim had gone when the driver was called.
	Undo bool
	// Marked tells that the intents say that the volume is being deleted.
	Marked bool
}

// Intent is what a process knows of an intent that is stored.
type Intent uint8

// An ended intent is stored until its removal has been written.
const (
	None Intent = iota
	Open
	Ended
)

// Stage is how far a process has come.
type Stage uint8

// The stages.
const (
	// Idle: there is nothing under way.
	Idle Stage = iota
	// Recorded: the driver has not been called yet.
	Recorded
	// Creating: CreateVolume is under way.
	Creating
	// Inheriting: the intent is that of a former process.
	Inheriting
	// Uncertain: the same call must be made again.
	Uncertain
	// Ambiguous: the call is over, and there may be a volume.
	Ambiguous
	// Made: the PersistentVolume is to be stored.
	Made
	// Useless: the volume is to be deleted.
	Useless
	// Removing: DeleteVolume is under way for a useless volume.
	Removing
	// Deleting: DeleteVolume is under way for a PersistentVolume.
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

// String shows what is outside of the processes.
func (s State) String() string {
	claim := [...]string{"unbound", "bound", "gone"}[s.Claim]
	pv, volume := "-", "-"
	if s.PV.Handle != 0 {
		pv = fmt.Sprintf("v%d%s%s%s", s.PV.Handle, word(s.PV.Keep, "+keep"), word(s.PV.Finalizer, "+finalizer"), word(s.PV.Released, "+released"))
	}
	if s.Volume.Handle != 0 {
		volume = fmt.Sprintf("v%d%s", s.Volume.Handle, word(s.Volume.Kept, "+kept by the user"))
	}
	return fmt.Sprintf("claim %s, intents %s, volume %s, PV %s", claim, s.intents(), volume, pv)
}

func (s State) intents() string {
	list := ""
	for _, record := range s.Intents {
		if record.Request != 0 {
			list += fmt.Sprintf("r%d%s ", record.Request, word(record.Useless != 0, "+useless"))
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
