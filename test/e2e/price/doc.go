// Package price measures what the journal costs: the same burst of claims, and the
// same lone claims, with it and without it, in turns, each time on a new cluster.
//
// Nobody binds the claims, and the driver takes next to no time: what is measured is
// the sidecar and the API server, so that the journal's part is as large as it can be.
package price
