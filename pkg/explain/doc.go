// Package explain shows offline what would become of claims: with which request the
// driver would be asked for their volumes, which Secrets the templates of their
// classes resolve to, and which PersistentVolumes would be stored; or why not. It asks
// nobody, and takes what it needs to know from manifests.
package explain
