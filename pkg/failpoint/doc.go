// Package failpoint ends a process at a chosen moment, for tests that ask what a
// crash leaves behind: before or after one of the calls that change something at
// the driver or at the API server.
//
// It stands at the two edges of the program: as an interceptor of the calls
// to the driver, and around the HTTP transport to the API server. So a point is a call as the
// others see it, and no code in between knows of it. Only builds with the tag
// failpoints contain the package.
//
//	CSI_PROVISIONER_FAILPOINT=after:CreateVolume:3
//
// ends the process when its third CreateVolume has been answered, and before the
// program learns the answer.
package failpoint
