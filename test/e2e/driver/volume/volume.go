// Package volume keeps what the driver knows of its volumes: one small JSON
// file each, replaced as a whole, so that the volumes survive the driver.
package volume

import (
	"maps"
	"slices"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/credential"
)

// A Volume is what the driver knows of one volume.
type Volume struct {
	// ID is the volume handle: unique even among volumes of the same name
	// that were deleted and created again.
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`

	// CapacityBytes is the size that the controller service has given it.
	CapacityBytes int64 `json:"capacityBytes"`
	// NodeBytes is the size that the node service has expanded it to; zero until
	// it is staged for the first time.
	NodeBytes int64 `json:"nodeBytes,omitempty"`

	Block             bool                `json:"block,omitempty"`
	FSType            string              `json:"fsType,omitempty"`
	Parameters        map[string]string   `json:"parameters,omitempty"`
	MutableParameters map[string]string   `json:"mutableParameters,omitempty"`
	Topology          []map[string]string `json:"topology,omitempty"`

	Attachments map[string]Attachment `json:"attachments,omitempty"` // by node ID
	Staged      []string              `json:"staged,omitempty"`      // paths
	Published   map[string]Publishing `json:"published,omitempty"`   // by path

	Protection Protection `json:"protection,omitzero"`
	// Source is what its data came from; empty for an empty volume.
	Source Source `json:"source,omitzero"`
	// Filled tells that it has these data.
	Filled bool `json:"filled,omitempty"`
}

// A Source is a snapshot or a volume.
type Source struct {
	Snapshot string `json:"snapshot,omitempty"`
	Volume   string `json:"volume,omitempty"`
}

// An Attachment is what ControllerPublishVolume has done.
type Attachment struct {
	ReadOnly bool   `json:"readOnly,omitempty"`
	Mode     string `json:"mode"` // the access mode by its name in CSI
}

// A Publishing is what NodePublishVolume has done.
type Publishing struct {
	ReadOnly bool   `json:"readOnly,omitempty"`
	Mode     string `json:"mode"`
}

// Protection says which calls need credentials, and which.
type Protection struct {
	Stage  bool `json:"stage,omitempty"`
	Expand bool `json:"expand,omitempty"`
	// Hash is nil until the volume has been enrolled.
	Hash *credential.Hash `json:"hash,omitempty"`
}

// InUse says whether the volume is attached, staged or published.
func (v Volume) InUse() bool {
	return len(v.Attachments)+len(v.Staged)+len(v.Published) > 0
}

// clone copies what an update may change in place.
func (v Volume) clone() Volume {
	v.MutableParameters = maps.Clone(v.MutableParameters)
	v.Attachments = maps.Clone(v.Attachments)
	v.Published = maps.Clone(v.Published)
	v.Staged = slices.Clone(v.Staged)
	return v
}
