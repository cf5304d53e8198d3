// Package source holds what a claim's data can come from, as plain values: a
// snapshot or another claim, and the grants that let claims of another namespace
// use them.
//
// The types of this package hold, under the names that they have in JSON, the
// fields of VolumeSnapshot, VolumeSnapshotContent and ReferenceGrant that this
// program reads, and no others.
package source
