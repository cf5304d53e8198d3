package sidecar

import "context"

// endingWith returns a context that ends with another one, too, and then for its cause. It
// is to be cancelled when it is no longer needed.
func endingWith(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(other, func() { cancel(context.Cause(other)) })
	return ctx, func() { stop(); cancel(nil) }
}
