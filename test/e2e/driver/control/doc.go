// Package control tells a running test driver what to do and asks it what it
// saw.
//
// The driver serves a small HTTP API on a unix socket of its own
// (--control-socket), beside its CSI socket. A [Client] speaks it:
//
//	driver := control.New(socket)
//	id, err := driver.AddRule(ctx, control.Rule{
//		Match:   control.Match{Method: "CreateVolume"},
//		Count:   2,
//		When:    control.After,
//		Code:    codes.DeadlineExceeded,
//		Message: "the array is slow",
//	})
//	...
//	calls, err := driver.WaitForCalls(ctx, control.Filter{Method: "CreateVolume", State: control.Finished}, 3)
//
// # Rules
//
// A [Rule] changes the outcome of the calls that it matches: it delays them,
// makes them hang, fails them before or after the work is done, or alters the
// response. Rules are tried in the order in which they were added; the first
// that matches and is not used up applies, alone. Rules are kept in memory: a
// driver that starts again has none.
//
// # Calls
//
// Each call that reaches the driver is recorded as a [Call] as soon as it
// arrives and again when it ends, with its request and its secrets. Calls
// outlive a restart of the driver. Secrets are there for the tests to compare:
// the driver itself never logs them.
//
// # The API
//
//	GET    /info               Info
//	GET    /rules              []RuleStatus
//	POST   /rules              Rule in, RuleStatus out
//	DELETE /rules              all of them
//	DELETE /rules/{id}
//	GET    /calls?method=&volume=&rule=&state=&after=&min=   []Call
//	DELETE /calls
//	GET    /volumes            []Volume
//
// GET /calls with min=N answers once there are N such calls. An error is a
// status of 400 and up with a plain text body.
package control
