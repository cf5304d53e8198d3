// Package kube is the way to the API server: clients with their budgets,
// informers that keep only what is needed, and narrow ports for the few writes
// that this program makes.
//
// Every write is a create, or carries a precondition (uid, resourceVersion).
// Nobody writes into an informer's store; [Expectations] and [Latest] bridge the time
// until it shows an own write. Nothing stays in them of an object that the informer no
// longer shows: after each entry the store is looked at, and handlers tell of the rest.
// Whatever else is kept in memory by the name or UID of an object has an owner that
// empties it, or a bound; tests find every table empty after 10,000 objects (test/tables).
//
// The package may import client-go, API types, names, secrets and the values of
// plan/topology.
package kube
