// Package modify decides what shall become of a bound claim that names another
// VolumeAttributesClass than its volume has (KEP-3751): whether the driver is to
// be called and for which class, and what the status of the claim and the
// PersistentVolume must be before and after.
//
// A modification goes like this:
//
//	class := Target(claim)      // look it up
//	decision := Decide(in)      // Act: get the Secret, write decision.Claim,
//	                            // call the driver with decision.Plan.Request
//	conclusion := Conclude(...) // write the volume, then the claim
//	claim := Failed(...)        // or, after an error, write the claim
//
// # What the claim remembers
//
// The claim alone carries the state from one attempt to the next, so that a
// restart, or another process, goes on where the last one stopped. The field is
// status.modifyVolumeStatus, with two conditions to it:
//
//	modifyVolumeStatus       ModifyingVolume     what it means
//	none                     –                   nothing is asked for, or it is new
//	Pending                  –                   the class is missing, or of no use
//	InProgress               reason is empty     the driver is at it, or may be
//	InProgress               WaitingForRetry     the last call is over and has failed
//	Infeasible               WaitingForRetry     the last call is over: not this class
//
// The reason WaitingForRetry is this program's own; it goes before the driver is
// called again, and comes back when that call has ended. In a claim without it,
// such as external-resizer leaves behind, the call counts as open: then the
// driver must be asked for the same class until it says that it has ended, even
// if the claim names another by now. ModifyVolumeError holds the code and the
// message of the last error, from the first failure at a class until it has
// succeeded or another one is asked for.
//
// A Pending claim keeps the target of the last class that the driver was asked
// for, if any; without one the volume has never been touched.
//
// What is to be written is returned as a whole object; where nothing has to
// change it is equal to the one that was given, to the time of each condition.
//
// All functions are pure. The package may import API types, CSI messages,
// secrets, names and plan/capability.
package modify
