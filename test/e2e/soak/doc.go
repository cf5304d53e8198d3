// Package soak has one sidecar create, expand and delete volumes for a long time, while
// the driver, the API server and etcd fail now and then, and looks whether it gets
// bigger: its memory, its goroutines and its file descriptors.
//
// A program warms up: caches fill, pools grow. So the last quarter of the time is
// compared with the second one (see [Judge]).
package soak
