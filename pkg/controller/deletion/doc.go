// Package deletion deletes volumes: it gathers what a decision depends on, asks
// the planner (plan/deletion), and carries the decision out, first at the driver
// and then at the API server. It also keeps the finalizer on volumes that will
// have to be deleted.
package deletion
