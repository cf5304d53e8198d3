// Package bench measures this project's sidecar and the released ones side by side: each
// row of measurements is played by both in turn, on the same cluster, with a driver that
// answers at once.
//
// Times and numbers of requests come from the audit log of the API server, which is the
// same for all: nothing is asked of the API server while a program is being measured.
package bench
