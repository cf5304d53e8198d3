package audit

// State is what the cluster knows of a volume.
type State string

// The states of volumes.
const (
	// Known volumes have a PersistentVolume.
	Known State = "known"
	// InCreation are volumes that show to be an open intent's, and such that
	// appeared while the audit ran.
	InCreation State = "inCreation"
	// Unclear volumes have no PersistentVolume and do not show whose they are, and
	// there are open intents that may have made them.
	Unclear State = "unclear"
	// Unknown volumes are no PersistentVolume's and no intent's.
	Unknown State = "unknown"
	// Gone are volumes that a PersistentVolume names and the driver does not list.
	Gone State = "gone"
)

// states are in the order in which they are shown: what needs attention comes
// last, beside the summary.
func states() []State { return []State{Known, InCreation, Unclear, Unknown, Gone} }

// Report is what an audit has found. As JSON it is what -o json prints, and
// documented in docs/audit.md.
type Report struct {
	// Driver is the driver's name.
	Driver  string  `json:"driver"`
	Summary Summary `json:"summary"`
	// Volumes are sorted by state and handle.
	Volumes []Finding `json:"volumes"`
	// OpenIntents are those that were open throughout, and that no volume shows to
	// be its intent: either they have none yet, or it is among the unclear ones.
	OpenIntents []Intent `json:"openIntents"`
	// Records are those of the journal that are not acted upon.
	Records []Kept `json:"records"`
	// Notes say, for people, what the findings may not show.
	Notes []string `json:"notes"`
}

// Summary counts volumes by their state.
type Summary struct {
	Known      int `json:"known"`
	InCreation int `json:"inCreation"`
	Unclear    int `json:"unclear"`
	Unknown    int `json:"unknown"`
	Gone       int `json:"gone"`
	// UnknownAtLeast is the number of volumes that are nobody's for certain: the
	// unknown ones, and the unclear ones that are more than the open intents.
	UnknownAtLeast int `json:"unknownAtLeast"`
}

// Finding is one volume.
type Finding struct {
	State        State  `json:"state"`
	VolumeHandle string `json:"volumeHandle"`
	// CapacityBytes is left out when the driver does not tell.
	CapacityBytes int64 `json:"capacityBytes,omitempty"`
	// PersistentVolumes are the names of those that have the handle: one, for most
	// volumes, and none for such as are not known.
	PersistentVolumes []string `json:"persistentVolumes,omitempty"`
	// Claims are those of the PersistentVolumes, or of the intents.
	Claims []Claim `json:"claims,omitempty"`
}

// Waiting is the number of records that wait for a person.
func (r *Report) Waiting() int {
	n := 0
	for _, kept := range r.Records {
		if kept.State != Unconfirmed {
			n++
		}
	}
	return n
}

// Suspicious tells whether a second look may find something to be in order that
// is not in order so far.
func (r *Report) Suspicious() bool { return r.Summary.Unclear+r.Summary.Unknown+r.Summary.Gone > 0 }
