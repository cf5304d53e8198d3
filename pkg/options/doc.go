// Package options turns the command line and the environment into a [Config]
// that is valid, or into an error that names each flag that is not.
//
// The flags are those of external-provisioner, with its names and defaults, as
// far as what they ask for is built. It may import pflag, names and Kubernetes'
// logging configuration.
package options
