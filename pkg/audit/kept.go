package audit

import "k8s.io/apimachinery/pkg/types"

// Records are those of the journal.
type Records struct {
	// Intents are those by which volumes may be in creation, also such that have ended
	// and whose records have not been dropped yet.
	Intents []Intent
	// Kept are records that the sidecar does not act upon, for a person to look at.
	Kept []Kept
}

// KeptState is why a record is not acted upon.
type KeptState string

// The states of kept records.
const (
	// Unreadable: the program does not understand it.
	Unreadable KeptState = "unreadable"
	// SetAside: it is not of this installation, or is old and its claim is gone.
	SetAside KeptState = "setAside"
	// Unconfirmed: it is not signed, and counts only as far as its claim confirms it.
	Unconfirmed KeptState = "unconfirmed"
)

// Kept is a record that is kept, and not acted upon. See docs/adr/0008-records.md.
type Kept struct {
	ConfigMap string `json:"configMap"`
	// Key is empty for a ConfigMap of which nothing is read.
	Key    types.UID `json:"key"`
	State  KeptState `json:"state"`
	Reason string    `json:"reason"`
	// Claim and VolumeName are what it says that a volume was made for, and
	// VolumeHandle which volume was to be deleted. They are left out if it can't be read;
	// whoever wrote it may have made them up.
	Claim        *Claim `json:"claim,omitempty"`
	VolumeName   string `json:"volumeName,omitempty"`
	VolumeHandle string `json:"volumeHandle,omitempty"`
}

// words are for people.
func (s KeptState) words() string {
	if s == SetAside {
		return "set aside"
	}
	return string(s)
}
