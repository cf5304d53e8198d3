package csi

import (
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/attempt"
)

// Outcome is what an error of a driver's call says about its volume.
type Outcome uint8

const (
	// Done: the call succeeded.
	Done Outcome = iota
	// Pending: the call may still be under way, or not have begun; it must be
	// repeated exactly (CSI spec, "Timeouts" and the error scheme).
	Pending
	// Ambiguous: the call is over, but may have left a volume behind.
	Ambiguous
	// Exhausted: the call is over and there is no volume, for want of resources
	// at the place that was asked for.
	Exhausted
	// Infeasible: the call is over, there is no volume, and the same request
	// will not succeed.
	Infeasible
	// Final: the call is over and there is no volume.
	Final
)

// Classify returns the outcome of a call by its error, where it does not matter what
// was known before.
func Classify(err error) Outcome {
	if err == nil {
		return Done
	}
	switch CreateAnswer(err) {
	case attempt.Pending:
		return Pending
	case attempt.Internal:
		return Ambiguous
	case attempt.Exhausted:
		return Exhausted
	case attempt.Invalid:
		return Infeasible
	default:
		return Final
	}
}

// CreateAnswer returns what the error of CreateVolume says. What follows from it depends
// on what was known of the volume before: see package attempt, which has this table, too.
func CreateAnswer(err error) attempt.Answer {
	s, ok := status.FromError(err)
	if !ok {
		return attempt.Pending
	}
	switch s.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Unavailable, codes.Aborted:
		return attempt.Pending
	case codes.Unauthenticated, codes.PermissionDenied:
		return attempt.Denied
	case codes.NotFound, codes.FailedPrecondition:
		return attempt.Unprepared
	case codes.ResourceExhausted:
		if tooLarge(s) {
			return attempt.Internal
		}
		return attempt.Exhausted
	case codes.AlreadyExists:
		return attempt.Exists
	case codes.InvalidArgument:
		return attempt.Invalid
	case codes.OutOfRange, codes.Unimplemented:
		return attempt.Final
	default:
		// Unknown, Internal and DataLoss: drivers return them when their own calls to
		// the storage time out. The other codes say no more.
		return attempt.Internal
	}
}

// tooLarge tells whether it was not the driver that lacks resources: gRPC
// reports an answer beyond the size limit, before or after decompression, with
// the same code. The driver has done its work then. The words may stand behind
// those of an error that wraps gRPC's.
func tooLarge(s *status.Status) bool {
	return strings.Contains(s.Message(), "grpc: received message") && strings.Contains(s.Message(), "larger than max")
}

// ClassifyExpansion returns the outcome of ControllerExpandVolume by its error: a
// lack of resources may pass, and a size out of range, or a volume that does not
// exist, will not. Whatever the driver has left behind, expanding the volume again
// takes it up, so no outcome is ambiguous.
func ClassifyExpansion(err error) Outcome {
	switch status.Code(err) {
	case codes.OutOfRange, codes.NotFound:
		return Infeasible
	case codes.ResourceExhausted:
		return Pending
	default:
	}
	if outcome := Classify(err); outcome != Ambiguous {
		return outcome
	}
	return Final
}

// InUse tells whether the error says that the volume is in use, where the driver
// expands only such that are not.
func InUse(err error) bool { return status.Code(err) == codes.FailedPrecondition }

// NotFound tells whether the error says that the volume does not exist.
func NotFound(err error) bool { return status.Code(err) == codes.NotFound }

// Unreachable tells whether the error says that the driver could not be
// reached.
func Unreachable(err error) bool { return status.Code(err) == codes.Unavailable }

// Answer returns the name of the code, and the message, of a driver's error; false
// for an error that is none of a driver's, because it was not called.
func Answer(err error) (code, message string, ok bool) {
	s, ok := status.FromError(err)
	if !ok {
		return "", "", false
	}
	return s.Code().String(), s.Message(), true
}

// Plain returns an error that prints what the driver says, without the words of
// gRPC around it, and wraps the driver's.
func Plain(err error) error { return &plainError{err} }

type plainError struct{ cause error }

func (e *plainError) Error() string { return Message(e.cause) }
func (e *plainError) Unwrap() error { return e.cause }

// Message returns what an error of the driver says: its code and message,
// without the words of gRPC around them.
func Message(err error) string {
	s, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	return s.Code().String() + ": " + s.Message()
}
