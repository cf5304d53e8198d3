// Package metrics makes the metrics of this program. Each [Set] is an instance
// of its own with its own registry, so that tests, and programs that run two,
// need no global one.
//
// The names are those of external-provisioner, so that its dashboards keep
// working. The package may import client_golang, csi-lib-utils and the metrics
// of sig-storage-lib-external-provisioner.
package metrics
