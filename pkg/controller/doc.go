// Package controller is the engine that all controllers of this program run
// on: a queue of keys, workers that reconcile them, and the rules for what
// happens with a result.
//
// A controller for one verb (provision, delete, …) supplies a [Reconciler]; it
// says with a [Result] and an error when its key is to be reconciled again:
//
//   - nil: done until an event adds the key again;
//   - Result.Again: at once;
//   - Result.RequeueAfter: again after that time;
//   - Result.WaitFor: again as soon as one of the named things changes, however
//     long the back-off;
//   - an error: again after a back-off that doubles with each failure;
//   - [Terminal](err): as the Result says, and else not before an event.
//
// One key is reconciled by one worker at a time. One volume is touched by one
// controller at a time, which the controllers arrange with [VolumeLocks].
//
// # Waits
//
// A decision holds for the moment for which it was made. After each wait it is checked,
// or made again, with what the caches show then. And each wait is ended by something for
// every way in which it can end. These are all the waits of the controllers that delete,
// expand and modify volumes:
//
//	wait                    what is checked after it             what ends it
//	volume's lock           everything: objects are read only    the holder's unlock
//	                        when it is held; deletion also
//	                        checks that it is the right lock
//	journal (Settle)        deletion: Decision.Still             the record's end; failure of
//	                                                             its write; the journal off,
//	                                                             or closed
//	slot at the driver      Plan.Still, Decision.Still           the end of a call; stop
//	(csi.Limit)             (csi.IfStill); then the lease (fence)
//	driver's answer         the claim and the volume are read    the answer; --timeout,
//	                        again before it is written           --resize-timeout,
//	                                                             --modify-timeout
//	API server              the lease, before the request is     the answer; the client's
//	                        sent (fence); uid and                timeout
//	                        resourceVersion, by the API server
//	back-off, RequeueAfter  everything: it is a new              time; an event; Wake
//	                        reconciliation
//	WaitFor                 everything: it is a new              Wake, for each kind of
//	                        reconciliation                       Dependency (checked by a
//	                                                             test of pkg/sidecar)
//	lease                   everything: caches are filled and    the other's release; its end
//	                        controllers made when it is held
//
// The end of the context ends each of them.
//
// Secrets are read before the wait for the slot. One that was replaced meanwhile is
// refused by the driver, then forgotten, and read again for the next attempt.
//
// The package knows neither Kubernetes objects nor drivers. It may import
// client-go's workqueue, clocks and logr.
package controller
