// Package attempt is the state machine of one attempt to create a volume: what is
// to be done next, and what each thing that happens means. It is the only place
// where this is decided. The controller (pkg/controller/provision) gathers a
// [Claim], asks [Next] for a [Step], carries it out, and hands what came of it to
// [Observe]. The protocol checker (test/protocol) drives the same two functions
// through every order of events.
//
// Both functions are total and deterministic. They read nothing but their
// arguments, and an event that cannot happen in a state changes nothing.
//
// # States
//
// The dangerous time is from the first CreateVolume until the PersistentVolume is
// stored: the volume may exist, and nothing in Kubernetes but a record in the
// journal tells of it. The states from Inherited to Cleared, and Void and Stored
// until their record has ended, are that time; see [Phase.Open].
//
//	phase      what is known                               next step
//	---------  ------------------------------------------  ---------------------------------
//	Idle       there is no volume and no record            record, if the planner has a plan
//	Doubtful   nothing; a PersistentVolume may be stored   look, if the planner has a plan
//	Inherited  another process has recorded requests       look
//	Recorded   the current request was never sent          create; end, if nobody wants it
//	Uncertain  the last call may still be under way        create, exactly as before
//	Full       refused for want of room; open before that  create, exactly as before
//	Ambiguous  no call is under way; a volume may exist    create; record, if the plan changed
//	Made       the volume exists                           store; record that it is unusable
//	Unusable   the volume must go; not recorded yet        record that it is unusable
//	Removing   the same, recorded                          remove
//	Clearing   another process has recorded a removal      remove
//	Cleared    it was carried out; another volume may      record without the removal
//	           exist, as the records do not tell all
//	Void       there is no volume                          end
//	Stored     the PersistentVolume is stored              end
//	Settled    the same, and the record has ended          look, if the planner has a plan
//
// A record is a hint that a volume may exist, and no more. So before a volume is removed,
// and before the PersistentVolume of one is stored that another process has begun, it is
// made sure that no PersistentVolume carries the volume, whatever its name and claim:
// VolumeTaken ends the attempt, and the volume is left alone.
//
// With news that must be told first, the step is report; with nothing to do, wait.
// A claim that no longer wants the volume (see [Want]) gets it created all the same
// where it may exist, as CSI has no other way to learn its handle, and then removed.
//
// # What an error of CreateVolume proves
//
// Each [Answer] stands for some gRPC codes. What it proves about the volume depends
// on what was known before: a driver may refuse a request without having looked
// whether the volume of an earlier call exists.
//
//	answer      gRPC codes                           request never sent   request sent before
//	----------  -----------------------------------  -------------------  -------------------
//	Pending     Canceled, DeadlineExceeded,          Uncertain            Uncertain
//	            Unavailable, Aborted, no status
//	Internal    Unknown, Internal, DataLoss, codes   Ambiguous            Ambiguous
//	            that gRPC does not define, answers
//	            beyond gRPC's size limit
//	Denied      Unauthenticated, PermissionDenied    no volume            Ambiguous
//	Unprepared  NotFound, FailedPrecondition         no volume            Ambiguous
//	Exhausted   ResourceExhausted                    no volume            Full, then Ambiguous
//	Exists      AlreadyExists                        not by this request  not by this request
//	Infeasible  InvalidArgument                      no volume            no volume
//	Final       OutOfRange, Unimplemented            no volume            no volume
//
// The sources are the CSI specification, "Timeouts", "Error Scheme" and the tables of
// errors of CreateVolume: a call without an answer must be repeated exactly; ABORTED
// says that another call for the volume is pending; ALREADY_EXISTS says that a volume
// of this name exists that does not fit the request. InvalidArgument, OutOfRange and
// Unimplemented depend on the request alone, so a driver that refuses it now has
// refused it before. Denied, Unprepared and Exhausted depend on the time of the call
// (credentials that expired, a snapshot that has gone, a rate limit), so they say
// nothing about an earlier one. external-provisioner takes all but the first group for
// "no volume".
//
// "No volume" and "not by this request" take a request from the list of those that may
// have made the volume. Only when the list is empty, and was complete (see
// [Plans].Inexact), there is no volume (Void). An answer to a call that was made
// without its Secret proves nothing.
package attempt
