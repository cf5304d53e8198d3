// Package topology holds the values that say where a volume may be: terms,
// sets of terms, an index of a cluster's nodes, the requirement that goes into
// a CreateVolumeRequest and the node affinity that comes out of its response.
//
// The rules are those of external-provisioner, so that drivers see the same
// requests: a term is an ordered list of segments, sets are sorted and have no
// duplicates, and the preferred list is the requisite one, rotated.
//
// Everything is pure but [Index], which is a data structure with a lock. The
// package may import API types and CSI messages only.
package topology
