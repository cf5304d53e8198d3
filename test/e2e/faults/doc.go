// Package faults injects faults: into the sidecar, the driver, the API server and etcd,
// and counts them. [Dice] choose between them, so that they follow from a seed.
package faults
