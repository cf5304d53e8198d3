// Package controller is the engine that all controllers of this program run
// on: a queue of keys, workers that reconcile them, and the rules for what
// happens with a result.
//
// A controller for one verb (provision, delete, …) supplies a [Reconciler]; it
// says with a [Result] and an error when its key shall be looked at again:
//
//   - nil: done until an event adds the key again;
//   - Result.RequeueAfter: again after that time;
//   - Result.WaitFor: again as soon as one of the named things changes, however
//     long the back-off;
//   - an error: again after a back-off that doubles with each failure;
//   - [Terminal](err): as the Result says, and else not before an event.
//
// One key is reconciled by one worker at a time. One volume is touched by one
// controller at a time, which the controllers arrange with [VolumeLocks].
//
// The package knows neither Kubernetes objects nor drivers. It may import
// client-go's workqueue, clocks and logr.
package controller
