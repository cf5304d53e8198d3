// Package sidecar is the only place where the parts of the program are
// constructed, started and stopped.
//
// They start in this order: HTTP server, driver, informers, lease, controllers;
// and stop in the reverse one, so that nothing works without the lease and the
// lease is given back only when nothing works any more. All replicas keep their
// caches filled, so that a standby takes over at once.
package sidecar
