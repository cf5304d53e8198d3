package source

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Kinds of sources that this program makes volumes from.
const (
	KindSnapshot = "VolumeSnapshot"
	KindClaim    = "PersistentVolumeClaim"
)

// SnapshotGroup is the API group of [KindSnapshot].
const SnapshotGroup = "snapshot.storage.k8s.io"

// Key names a source: what has that name now, or will have.
type Key struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// ClaimKey names a claim as a source.
func ClaimKey(namespace, name string) Key {
	return Key{Kind: KindClaim, Namespace: namespace, Name: name}
}

// String is "kind namespace/name", for messages and indices. It is bounded, as
// users write it.
func (k Key) String() string {
	return bounded(k.Kind) + " " + bounded(k.Namespace) + "/" + bounded(k.Name)
}

// longest is the length of the longest name that an object can have.
const longest = 253

func bounded(text string) string { return text[:min(len(text), longest)] }

// Object is one source, and not another one that gets its name later.
type Object struct {
	Key
	UID types.UID `json:"uid"`
}

// Ref is the data source that a claim names.
type Ref struct {
	Key
	// Group is the API group; empty for the core group.
	Group string
	// Elsewhere tells that the claim names the source's namespace, be it its own.
	Elsewhere bool
}

// Of returns the data source of a claim; false when it has none. Where a claim has
// both fields, spec.dataSource wins.
func Of(claim *corev1.PersistentVolumeClaim) (Ref, bool) {
	ref := Ref{Key: Key{Namespace: claim.Namespace}}
	var group *string
	if from := claim.Spec.DataSource; from != nil {
		ref.Kind, ref.Name, group = from.Kind, from.Name, from.APIGroup
	} else if from := claim.Spec.DataSourceRef; from != nil {
		ref.Kind, ref.Name, group = from.Kind, from.Name, from.APIGroup
		if from.Namespace != nil && *from.Namespace != "" {
			ref.Namespace, ref.Elsewhere = *from.Namespace, true
		}
	} else {
		return Ref{}, false
	}
	if group != nil {
		ref.Group = *group
	}
	return ref, true
}

// IsSnapshot tells whether the source is a snapshot.
func (r Ref) IsSnapshot() bool { return r.Kind == KindSnapshot }

// IsClaim tells whether the source is a claim, which is to be cloned. Its API group
// does not count, as with external-provisioner.
func (r Ref) IsClaim() bool { return r.Kind == KindClaim }
