package csi

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// minScrubbed is the length of the shortest value that is looked for: shorter
// ones are no secrets, and would garble the message.
const minScrubbed = 4

// maxMessage is the length in bytes to which the message of an error is cut: it
// is logged with each try, and gRPC lets a driver send megabytes.
const maxMessage = 4 << 10

// scrubErrors takes the values of a request's secrets out of the error's
// message, and what is too long of it: some drivers repeat what they were given
// ("login as admin/… failed"), and errors end in events and logs.
func scrubErrors(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	err := invoke(ctx, method, request, response, conn, options...)
	s, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	clean := s.Message()
	if holder, ok := request.(interface{ GetSecrets() map[string]string }); ok {
		clean = scrub(clean, holder.GetSecrets())
	}
	if clean = shorten(clean); clean != s.Message() {
		// The details may repeat the message; they go.
		return status.Error(s.Code(), clean)
	}
	return err
}

func shorten(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	cut := maxMessage
	for cut > 0 && !utf8.RuneStart(message[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes)", message[:cut], len(message))
}

func scrub(message string, secrets map[string]string) string {
	values := make([]string, 0, len(secrets))
	for _, value := range secrets {
		// Files end with a newline, which drivers drop before they use, and
		// repeat, what a Secret was made from.
		value = strings.TrimSpace(value)
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
