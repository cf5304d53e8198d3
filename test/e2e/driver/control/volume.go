package control

// A Volume is a volume that the driver has.
type Volume struct {
	ID   string `json:"id"`
	Name string `json:"name"`

	// CapacityBytes is the size that the controller service gave it.
	CapacityBytes int64 `json:"capacityBytes"`
	// NodeBytes is the size that the node service has expanded it to: less than
	// CapacityBytes between ControllerExpandVolume and NodeExpandVolume, and
	// zero until the first NodeStageVolume.
	NodeBytes int64 `json:"nodeBytes,omitempty"`

	Block             bool                `json:"block,omitempty"`
	FSType            string              `json:"fsType,omitempty"`
	Parameters        map[string]string   `json:"parameters,omitempty"`
	MutableParameters map[string]string   `json:"mutableParameters,omitempty"`
	Topology          []map[string]string `json:"topology,omitempty"`

	// SourceSnapshot or SourceVolume is what its data came from.
	SourceSnapshot string `json:"sourceSnapshot,omitempty"`
	SourceVolume   string `json:"sourceVolume,omitempty"`

	// AttachedTo are the nodes that ControllerPublishVolume has given it to.
	AttachedTo []string `json:"attachedTo,omitempty"`
	// StagedAt and PublishedAt are paths on this node.
	StagedAt    []string `json:"stagedAt,omitempty"`
	PublishedAt []string `json:"publishedAt,omitempty"`

	// Protected says that calls need credentials for it.
	Protected bool `json:"protected,omitempty"`
	// Enrolled says that it knows a salted hash of them.
	Enrolled bool `json:"enrolled,omitempty"`
}

// Info tells which driver answers.
type Info struct {
	Name    string `json:"name"`
	NodeID  string `json:"nodeID"`
	Backend string `json:"backend"`
	PID     int    `json:"pid"`
}
