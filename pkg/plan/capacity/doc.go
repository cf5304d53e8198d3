// Package capacity decides which CSIStorageCapacity objects there are: one for
// each pair of a class and a topology segment, with the driver's answer to
// GetCapacity (KEP-1472).
//
// [Decide] says of one pair what the driver must be asked and what must go, and
// [Conclude] what must be written with the driver's answer; both are pure.
// [Segments] is a data structure with a lock, which knows the segments of the
// cluster from the events of its nodes. The package may import API types, CSI
// messages, names and the values of plan/topology.
package capacity
