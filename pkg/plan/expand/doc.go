// Package expand decides what shall become of a bound claim that wants a bigger
// volume: whether the driver is to be called and for which size, and what the
// status of the claim and the PersistentVolume must be before and after. It is
// the state machine of KEP-1790 (recovery from failed expansion), and behind its
// gate the one that came before.
//
// An expansion goes like this:
//
//	decision := Decide(in)      // Act: the expansion's plan
//	                            // get the Secret, then write plan.Claim
//	                            // call the driver with plan.Request
//	conclusion := Conclude(...) // write the volume, then the claim
//	claim := Failed(...)        // or, after an error, write the claim
//
// Nothing but these objects carries the state from one attempt to the next, so
// that a restart, or another process, goes on where the last one stopped. What
// is to be written is returned as a whole object; where nothing has to change it
// is equal to the one that was given.
//
// All functions are pure. The package may import API types, CSI messages,
// secrets, names and plan/capability.
package expand
