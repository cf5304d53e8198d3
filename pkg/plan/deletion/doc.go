// Package deletion decides what shall become of a PersistentVolume that may
// have to go: whether its volume is deleted at the driver, whether it must wait,
// and whether it carries the finalizer that keeps it until then.
//
// [Decide] is pure. The package may import API types, secrets, names and the
// other plan packages.
package deletion
