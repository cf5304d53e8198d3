// Package protocol checks how a volume is made and deleted. It drives the product's own
// state machine (pkg/plan/attempt) through a small world, and searches every state that
// the two can reach together.
//
// The world has one claim, its class, its data source's grant, its PersistentVolume and
// its volume; the journal; the driver with the calls that are under way to it; a lease;
// and two processes with their caches, either of which may lead. Whatever can happen in
// one indivisible step is a [Move]. Crashes, ends of a lease that its holder has not
// noticed, and errors are moves that happen as often as the [Budget] allows; what the
// user does may happen at any time. [Search] visits all orders of all moves; [Walk] goes
// a long way at random, with a budget for which there are too many orders.
//
// The world has strangers, too, who write into the journal: some forge records, and some
// restore those of a backup ([World].Forged, Restored).
//
// What a process does about its attempt is what attempt.Next says, and what it knows
// after that is what attempt.Observe returns: neither is repeated here. What surrounds
// them is in [Safeguards], and each field can be taken out to see what it is good for.
// Each field of [World] makes the world a worse place.
//
// What is wrong is a [Fault]. Some must never be: that a volume is deleted which
// somebody counts on, or that data is handed over which may no longer be used. Others
// must not be at rest, when nothing is due any more: a volume without a
// PersistentVolume, a record, a claim without a volume. And from every state, rest must
// be reachable by what is due alone.
//
// # Assumptions
//
//   - The API server is linearizable, and does a write before the next leader
//     begins, or never. [World].LateRecords and LatePVs take the second half away.
//   - The lease is checked and the write or call sent in one step. In truth a
//     margin of time between the two deadlines stands for that.
//   - A driver gives the volume that it has to a request that is repeated exactly, or
//     refuses the request for a reason that depends on the time, not on the request. It
//     says ALREADY_EXISTS to another request of the same name, and ABORTED to a call
//     for a volume that it is at work on (CSI specification, the error schemes of
//     CreateVolume and DeleteVolume). [World].Serial takes the last part away.
//   - A call of a process that has ended may be done at any later time, or never.
//   - Nobody removes the sidecar's finalizer but the sidecar, and Kubernetes
//     keeps the PersistentVolume of a claim that is bound to it.
//   - A claim that is bound to another volume is as good as deleted. Two claims
//     have nothing to do with each other: their volumes have different names.
//   - To stop in good order is to crash at a moment when nothing is under way.
//   - Whether a PersistentVolume carries the volume is looked at, and the call sent, in one
//     step; and so is whether a claim confirms a record, and the record taken up.
//   - Nobody but a process has the key by which records are signed, and nobody restores a
//     record that is younger than the limit when the user has kept its volume meanwhile.
//   - A process is told of every change that its caches show. That what waits is woken
//     is for tests of the controllers to show.
package protocol
