package csi

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

// Budget is what the calls of one method get.
type Budget struct {
	// Calls may be under way at one time.
	Calls int
	// Timeout is the time that each of them may take, from the moment that it is sent.
	Timeout time.Duration
	// Flag sets the timeout; it is named when a call has taken too long.
	Flag string
}

// Budgets are by the full gRPC names of the methods.
type Budgets map[string]Budget

// Chain returns a connection whose calls go through the interceptors, the first of
// them outermost, and then to the next connection. The interceptors get no
// *grpc.ClientConn.
func Chain(next grpc.ClientConnInterface, interceptors ...grpc.UnaryClientInterceptor) grpc.ClientConnInterface {
	invoke := func(ctx context.Context, method string, request, response any, _ *grpc.ClientConn, options ...grpc.CallOption) error {
		return next.Invoke(ctx, method, request, response, options...)
	}
	for n := len(interceptors) - 1; n >= 0; n-- {
		invoke = before(interceptors[n], invoke)
	}
	return chained{next, invoke}
}

// before puts the interceptor before what comes next.
func before(intercept grpc.UnaryClientInterceptor, next grpc.UnaryInvoker) grpc.UnaryInvoker {
	return func(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, options ...grpc.CallOption) error {
		return intercept(ctx, method, request, response, conn, next, options...)
	}
}

type chained struct {
	grpc.ClientConnInterface
	invoke grpc.UnaryInvoker
}

// Invoke implements grpc.ClientConnInterface.
func (c chained) Invoke(ctx context.Context, method string, request, response any, options ...grpc.CallOption) error {
	return c.invoke(ctx, method, request, response, nil, options...)
}
