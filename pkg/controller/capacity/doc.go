// Package capacity publishes how much room the driver has: a CSIStorageCapacity
// object for each pair of a class and a topology segment, which the scheduler goes
// by (KEP-1472).
//
// The key is the pair. What changes adds keys to the queue ([Controller.SetNode]
// and the like, events.go); a key that is *due* asks the driver, others only bring
// in order what there is. So the driver is asked once for each pair at the start,
// once in each poll interval, and when a volume has come or gone there.
package capacity
