// Package secrets tells which Secret a volume uses for what. Parameters of a
// StorageClass name a Secret for each role, by templates that may refer to the
// volume and its claim; [Resolve] and [ResolveAll] turn them into references, or
// into an [*Error] that says which parameter is wrong and how to fix it.
// [Credentials] hold the content of a Secret and do not let themselves be printed.
//
// The package is pure: it reads no Secret, no clock and no cluster.
package secrets
