package csi

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
)

// ErrWithdrawn is wrapped by the error of a call that was not made, because the
// check of [IfStill] failed when its turn came.
var ErrWithdrawn = errors.New("the call was not made")

// Option changes how a single call is made.
type Option = grpc.CallOption

// IfStill makes a call only if check returns nil. The check runs when the call's
// turn has come: after all waiting, directly before the request is sent. Otherwise
// the driver is not called, and the error wraps [ErrWithdrawn] and that of the check.
//
// Calls may wait for minutes, and what they were decided on may change in the
// meantime. The check must be quick and must not block: the call has its place among
// those under way already.
func IfStill(check func() error) Option { return ifStill{check: check} }

type ifStill struct {
	grpc.EmptyCallOption
	check func() error
}

// Recheck runs the checks of [IfStill] among the options, and returns the error with
// which the call must be answered instead of being made.
func Recheck(options []Option) error {
	for _, option := range options {
		still, ok := option.(ifStill)
		if !ok {
			continue
		}
		if err := still.check(); err != nil {
			return fmt.Errorf("%w: %w", ErrWithdrawn, err)
		}
	}
	return nil
}

// CheckStill withdraws the calls whose [IfStill] says so. It stands behind what waits.
func CheckStill(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if err := Recheck(options); err != nil {
		return err
	}
	return invoke(ctx, method, request, response, conn, options...)
}
