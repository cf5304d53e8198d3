// Package chaos looks for volumes that get lost. In rounds, it has users ask for
// volumes, expand, modify and delete them, while the sidecar is killed at random
// moments and at named points, and the driver, the API server and etcd fail in
// many ways. Others write records of the journal: they forge some, and restore those that
// the sidecar has dropped. Then everything is well again, and what must hold at rest is
// checked (see [Check]): above all, that the driver has the volumes that have a
// PersistentVolume, and no others.
//
// What happens in a round is a [Plan], which its seed and number determine; when
// exactly it hits is up to the machine. Rounds run side by side in lanes, each with
// a driver, sidecars and namespaces of its own, on one cluster.
//
// The sidecar is a [Program]: this project's, built with the tag failpoints, or its
// peers, for comparison.
package chaos
