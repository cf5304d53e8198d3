// Package expand expands volumes: it gathers what a decision depends on, asks the
// planner (plan/expand), and carries the plan out at the driver and the API
// server.
//
// All state is in the claim's status, so that another process goes on where this
// one stopped. Memory holds hints only: which volumes the driver has called in
// use, which saves it calls that would fail; and own writes that the informers
// have not shown yet.
package expand
