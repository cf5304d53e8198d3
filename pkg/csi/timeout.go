package csi

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Timeout gives each call the time that its method's budget allows, beginning when
// the call does.
func Timeout(budgets Budgets) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		budget, ok := budgets[method]
		if !ok {
			return errNoBudget(method)
		}
		ctx, cancel := context.WithTimeout(ctx, budget.Timeout)
		defer cancel()
		return budget.explain(ctx, invoke(ctx, method, request, response, conn, options...))
	}
}

// deadlineSlack is how much earlier than this side's the driver's clock may ring:
// it is told how long a call may take, and ends the call by itself.
const deadlineSlack = 100 * time.Millisecond

// explain says why a call has ended that took too long, and which flag gives it more
// time: gRPC's own words for it may be "stream terminated by RST_STREAM with error
// code: CANCEL".
func (b Budget) explain(ctx context.Context, err error) error {
	deadline, _ := ctx.Deadline()
	if status.Code(err) != codes.DeadlineExceeded || time.Until(deadline) > deadlineSlack {
		return err
	}
	return status.Errorf(codes.DeadlineExceeded, "the driver has not answered within %s (%s): the call is repeated, the driver's log may tell what takes so long", b.Timeout, b.Flag)
}
