package source

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Snapshot is what is read of a VolumeSnapshot (snapshot.storage.k8s.io/v1).
type Snapshot struct {
	metav1.ObjectMeta `json:"metadata"`
	Status            SnapshotStatus `json:"status"`
}

// SnapshotStatus is how far a snapshot is.
type SnapshotStatus struct {
	// Content is the name of the VolumeSnapshotContent that it is bound to.
	Content *string `json:"boundVolumeSnapshotContentName,omitempty"`
	Ready   *bool   `json:"readyToUse,omitempty"`
	// RestoreSize is the size of the smallest volume that holds its data.
	RestoreSize *resource.Quantity `json:"restoreSize,omitempty"`
}

// Object returns which one it is.
func (s *Snapshot) Object() Object {
	return Object{Key{KindSnapshot, s.Namespace, s.Name}, s.UID}
}

// SameToClaims tells whether a snapshot has not changed for those who want a volume
// of it. Finalizers do not count.
func (s *Snapshot) SameToClaims(other *Snapshot) bool {
	return s.UID == other.UID && (s.DeletionTimestamp == nil) == (other.DeletionTimestamp == nil) &&
		equality.Semantic.DeepEqual(s.Status, other.Status)
}

// Content is what is read of a VolumeSnapshotContent (snapshot.storage.k8s.io/v1).
type Content struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              ContentSpec   `json:"spec"`
	Status            ContentStatus `json:"status"`
}

// ContentSpec says whose a content is.
type ContentSpec struct {
	Driver string `json:"driver"`
	// Mode is that of the volume that the snapshot is of; nil where it is not known.
	Mode *corev1.PersistentVolumeMode `json:"sourceVolumeMode,omitempty"`
	// Snapshot is the VolumeSnapshot that it belongs to.
	Snapshot corev1.ObjectReference `json:"volumeSnapshotRef"`
}

// ContentStatus is how far a content is.
type ContentStatus struct {
	// Handle is the driver's name of the snapshot.
	Handle *string `json:"snapshotHandle,omitempty"`
}
