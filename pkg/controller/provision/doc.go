// Package provision makes volumes for claims. It gathers what a decision depends on, asks
// the planner (plan/provision) what a claim needs, and the state machine of attempts
// (plan/attempt) what to do next, and carries that out at the driver, the journal and the
// API server.
//
// A reconciliation is a walk: look at the claim, take the next step, look again. All that
// is decided is in the two packages of plan; what is here has the maps, and the waits.
//
//	controller.go  what is needed; the beginning and end of a walk
//	claims.go      what is remembered of claims, a record each
//	walk.go        one walk, step by step
//	gather.go      what the planner needs to know
//	steps.go       how each step is carried out
//	report.go      what is told, and what is waited for
//	watch.go       what has a claim reconciled
package provision
