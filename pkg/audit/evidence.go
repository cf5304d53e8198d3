package audit

import (
	"context"
	"strings"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"k8s.io/apimachinery/pkg/types"
)

// Evidence is what was seen. The order in which it was gathered is what makes the
// conclusions hold: see [Compare].
type Evidence struct {
	Driver string
	// Before are the PersistentVolumes that there were before the first look.
	Before []PersistentVolume
	// Looks are complete views of driver and cluster, one after the other; there
	// is at least one.
	Looks []Look
}

// Look is one view. Its parts were gathered in the order of the fields, and each
// began when the one before was complete.
type Look struct {
	Volumes []Volume
	Records
	PersistentVolumes []PersistentVolume
}

// Volume is one that the driver lists.
type Volume struct {
	Handle string
	// CapacityBytes is 0 when the driver does not tell.
	CapacityBytes int64
	Context       map[string]string
}

func volumeOf(v *csipb.Volume) Volume {
	return Volume{Handle: v.GetVolumeId(), CapacityBytes: v.GetCapacityBytes(), Context: v.GetVolumeContext()}
}

// PersistentVolume is one of the driver.
type PersistentVolume struct {
	Name string
	UID  types.UID
	// Handle is empty when it can't be told; Problem says why.
	Handle        string
	Problem       string
	CapacityBytes int64
	// Claim is nil for a volume that nobody has claimed.
	Claim *Claim
	// Deleting tells that its volume is about to be deleted, or has been, and that
	// the PersistentVolume will follow.
	Deleting bool
}

// Claim names a claim.
type Claim struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid"`
}

// Intent is a record of the journal: a volume may exist at the driver, made for a
// claim.
type Intent struct {
	// VolumeName is the name in the CreateVolumeRequest, and that of the
	// PersistentVolume to come; empty for a record that can't be read. The handle
	// is not known before the driver has answered.
	VolumeName string `json:"volumeName"`
	// Claim has its UID only, for a record that can't be read.
	Claim Claim `json:"claim"`
}

// Intents reads the journal.
type Intents interface {
	List(ctx context.Context) (Records, error)
}

// shows tells whether the volume shows by its handle or its context that it is
// the intent's: many drivers put the volume's name there, and the name holds the
// claim's UID.
func (i Intent) shows(v Volume) bool {
	for _, part := range []string{i.VolumeName, string(i.Claim.UID)} {
		if part == "" {
			continue
		}
		if strings.Contains(v.Handle, part) {
			return true
		}
		for _, value := range v.Context {
			if strings.Contains(value, part) {
				return true
			}
		}
	}
	return false
}
