// Package journal keeps durable what may exist at the driver without a
// PersistentVolume. A CreateVolume call makes something that only the driver
// knows; until a PersistentVolume is stored, the claim is the only trace of it,
// and users delete claims. So an [Intent] is recorded before the first call, and
// goes when a PersistentVolume is stored or it is certain that there is no
// volume. Who comes next, after a crash, reads the intents and finishes what was
// begun.
//
// As in a write-ahead log, intents that arrive while a write is under way share
// the next one: each write makes a batch, an object of the API server with one
// key an intent. Ends are shared, too, and lazy: the keys of what has ended are
// dropped some time later, together, and a batch goes with its last key. So
// nothing is ever rewritten, and the writes get fewer for each volume the more
// volumes there are.
//
// What ends lazily is read again after a crash. Readers must be prepared for an
// intent whose volume has long been stored.
//
// Of one claim there may be several records. Each names those that it replaces; all others
// count, and are merged: see sortOut and adoptClaim in recover.go, and docs/adr/0004-journal.md.
package journal
