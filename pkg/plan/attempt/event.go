package attempt

// What names what has happened; it is the kind of an [Event].
type What uint8

// What can happen.
const (
	// Found: the PersistentVolume of the attempt is at the API server. It answers
	// Look.
	Found What = iota
	// Absent: it is not. It answers Look.
	Absent
	// Unwanted: by the API server, the claim no longer wants a volume; the caches
	// will show that. It answers Look.
	Unwanted
	// Recalled: the journal has a record of another process, with the event's Plans
	// and, if a volume's removal is recorded, its Handle. It may happen at any time.
	Recalled
	// Written: the journal has the event's Plans and Handle. It answers Record.
	Written
	// Unwritten: it is not known whether the journal has the event's Handle, or will
	// have it. It answers Record, where that has failed.
	Unwritten
	// Failed: CreateVolume was called, and has failed with the event's Answer.
	Failed
	// Created: the driver has a volume that can be used. It answers Create.
	Created
	// Unfit: the driver has a volume that can't be used. It answers Create.
	Unfit
	// Kept: the PersistentVolume is stored. It answers Store.
	Kept
	// Rejected: the API server will never take the PersistentVolume, and has none of
	// its name. It answers Store.
	Rejected
	// NameTaken: another volume has a PersistentVolume of this name. It answers Store.
	NameTaken
	// VolumeTaken: a PersistentVolume carries the volume, and is not the one to be
	// stored. It answers Store and Remove.
	VolumeTaken
	// Unclear: a write of the PersistentVolume has no clear answer. It answers Store.
	Unclear
	// Removed: the volume is gone from the driver. It answers Remove.
	Removed
	// Ended: the record is no longer needed. It answers End.
	Ended
	// Withdrawn: the step was not carried out, as it no longer fits the claim.
	Withdrawn
	// Undone: the step could not be carried out, and had no effect.
	Undone
	// Reported: the news has been told. It answers Report.
	Reported
)

// Events returns all kinds of events, in their order.
func Events() []What {
	return []What{
		Found, Absent, Unwanted, Recalled, Written, Unwritten, Failed, Created, Unfit, Kept, Rejected, NameTaken,
		VolumeTaken, Unclear, Removed, Ended, Withdrawn, Undone, Reported,
	}
}

// String returns the name of the kind.
func (w What) String() string {
	return [...]string{
		"Found", "Absent", "Unwanted", "Recalled", "Written", "Unwritten", "Failed", "Created", "Unfit", "Kept", "Rejected", "NameTaken",
		"VolumeTaken", "Unclear", "Removed", "Ended", "Withdrawn", "Undone", "Reported",
	}[w]
}

// Event is something that has happened, mostly in answer to a step.
type Event struct {
	What What
	// Plans and Handle are those of the record, for Recalled, Written and Unwritten.
	Plans Plans
	// Handle is also that of the volume, for Created and Unfit.
	Handle string
	// Answer and Blind are for Failed. Blind tells that the driver was called without
	// the Secret of the request.
	Answer Answer
	Blind  bool
}

// Answer is what an error of CreateVolume says; the package comment has the gRPC codes
// and what each answer proves.
type Answer uint8

// The answers.
const (
	Pending Answer = iota
	Internal
	Denied
	Unprepared
	Exhausted
	Exists
	Invalid
	Final
)

// Answers returns all answers, in their order.
func Answers() []Answer {
	return []Answer{Pending, Internal, Denied, Unprepared, Exhausted, Exists, Invalid, Final}
}

// String returns the name of the answer.
func (a Answer) String() string {
	return [...]string{"Pending", "Internal", "Denied", "Unprepared", "Exhausted", "Exists", "Invalid", "Final"}[a]
}
