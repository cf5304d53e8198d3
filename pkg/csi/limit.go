package csi

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
)

// ErrStopping is returned for calls that are not made because the program is
// about to stop.
var ErrStopping = errors.New("the program is stopping")

// Limit lets the calls of each method be under way at one time that its budget
// allows; the others wait for their turn, and get it in order. A call that waits when
// its context ends or stop is closed returns an error and has not reached the driver;
// after stop, none does.
func Limit(budgets Budgets, stop <-chan struct{}) grpc.UnaryClientInterceptor {
	all := make(map[string]slots, len(budgets))
	for method, budget := range budgets {
		all[method] = slots{make(chan struct{}, budget.Calls), stop}
	}
	return func(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		slots, ok := all[method]
		if !ok {
			return errNoBudget(method)
		}
		if err := slots.take(ctx); err != nil {
			return err
		}
		defer slots.give()
		return invoke(ctx, method, request, response, conn, options...)
	}
}

// errNoBudget is returned for a call that nobody has allowed.
func errNoBudget(method string) error {
	return fmt.Errorf("calling %s: there is no budget for the method", method)
}

type slots struct {
	taken chan struct{}
	stop  <-chan struct{}
}

func (s slots) take(ctx context.Context) error {
	select {
	case <-s.stop:
		return ErrStopping
	default:
	}
	select {
	case s.taken <- struct{}{}:
		return nil
	case <-s.stop:
		return ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slots) give() { <-s.taken }
