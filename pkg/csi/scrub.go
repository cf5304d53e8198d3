package csi

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// minScrubbed is the length of the shortest value that is looked for: shorter
// ones are no secrets, and would garble the message.
const minScrubbed = 4

// scrubErrors takes the values of a request's secrets out of the error's
// message: some drivers repeat what they were given ("login as admin/… failed"),
// and errors end in events and logs.
func scrubErrors(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	err := invoke(ctx, method, request, response, conn, options...)
	holder, ok := request.(interface{ GetSecrets() map[string]string })
	if err == nil || !ok {
		return err
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	if clean := scrub(s.Message(), holder.GetSecrets()); clean != s.Message() {
		// The details may repeat the message; they go.
		return status.Error(s.Code(), clean)
	}
	return err
}

func scrub(message string, secrets map[string]string) string {
	values := make([]string, 0, len(secrets))
	for _, value := range secrets {
		if len(value) >= minScrubbed {
			values = append(values, value)
		}
	}
	// The longer first: one value may be part of another.
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	for _, value := range values {
		message = strings.ReplaceAll(message, value, "***")
	}
	return message
}
