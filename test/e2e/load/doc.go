// Package load does what users and administrators do with claims and with what claims
// need: it creates, expands, modifies and deletes them.
//
// The API server may fail or be away meanwhile. Each step is tried until it is done, as
// long as the [API] has patience. That it is done already, or that the object has gone,
// ends a step as well, because the answer to an earlier try may have been lost.
package load
