// Package modify gives volumes another VolumeAttributesClass: it gathers what a
// decision depends on, asks the planner (plan/modify), and carries the decision
// out. A success is three writes and two events:
//
//	Secret ──▶ claim: InProgress ──▶ driver ──▶ volume ──▶ claim: done
//
// Each step can be repeated: whatever breaks off, the claim tells the next
// reconciliation, or the next process, where to go on. Own writes are no reason
// to look at a claim again (see [Wants]), so that they don't defeat the back-off.
package modify
