// Package stage sets up what a test or a demonstration of the sidecar needs: a
// real cluster, the sidecar's rights (those of deploy/kubernetes/rbac.yaml, and
// no others), drivers, and sidecars as processes of their own.
//
// Everything ends with the cluster. The programs are those in bin/ at the top of
// the repository.
package stage
