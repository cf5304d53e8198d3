// Package audit compares the volumes that a driver has with those that the
// cluster knows: the PersistentVolumes, and the intents of the journal, which say
// that a volume may exist without a PersistentVolume yet. It changes nothing.
//
// [Auditor] gathers [Evidence], [Compare] says what follows from it, and a
// [Report] is shown as a table or as JSON.
package audit
