// Package provision decides what shall become of a claim: whether this driver
// has to make a volume for it, with which CreateVolumeRequest, and which
// PersistentVolume follows from the response.
//
// [Decide] and [Conclude] are pure: the same input gives the same answer, and
// no input makes them fail otherwise than by saying so. The package may import
// API types, CSI messages, secrets, names and the other plan packages.
package provision
