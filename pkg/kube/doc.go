// Package kube is the way to the API server: clients with their budgets,
// informers that keep only what is needed, and narrow ports for the few writes
// that this program makes.
//
// Every write is a create, or carries a precondition (uid, resourceVersion).
// Nobody writes into an informer's store; [Expectations] bridge the time until
// an own write comes back.
//
// The package may import client-go, API types, names, secrets and the values of
// plan/topology.
package kube
