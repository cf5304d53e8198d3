package csi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // For the driver that compresses.
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

func TestClassify(t *testing.T) {
	outcomes := map[codes.Code]csi.Outcome{
		codes.OK:                 csi.Done,
		codes.Canceled:           csi.Pending,
		codes.Unknown:            csi.Ambiguous,
		codes.InvalidArgument:    csi.Infeasible,
		codes.DeadlineExceeded:   csi.Pending,
		codes.NotFound:           csi.Final,
		codes.AlreadyExists:      csi.Final,
		codes.PermissionDenied:   csi.Final,
		codes.ResourceExhausted:  csi.Exhausted,
		codes.FailedPrecondition: csi.Final,
		codes.Aborted:            csi.Pending,
		codes.OutOfRange:         csi.Final,
		codes.Unimplemented:      csi.Final,
		codes.Internal:           csi.Ambiguous,
		codes.Unavailable:        csi.Pending,
		codes.DataLoss:           csi.Ambiguous,
		codes.Unauthenticated:    csi.Final,
	}
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		want, ok := outcomes[code]
		if !ok {
			t.Errorf("no outcome is expected of %s", code)
		}
		err := status.Error(code, "driver says no")
		if got := csi.Classify(err); got != want {
			t.Errorf("Classify(%s) = %d, want %d", code, got, want)
		}
		if err == nil {
			continue
		}
		if got := csi.Classify(fmt.Errorf("creating: %w", err)); got != want {
			t.Errorf("Classify(wrapped %s) = %d, want %d", code, got, want)
		}
	}
}

func TestClassifyErrorsThatAreNotTheDrivers(t *testing.T) {
	for name, err := range map[string]error{
		"own":      errors.New("something"),
		"stopping": csi.ErrStopping,
		"canceled": context.Canceled,
		"wrapped":  fmt.Errorf("waiting: %w", context.DeadlineExceeded),
	} {
		if got := csi.Classify(err); got != csi.Pending {
			t.Errorf("%s: Classify = %d, want %d", name, got, csi.Pending)
		}
	}
	if got := csi.Classify(nil); got != csi.Done {
		t.Errorf("Classify(nil) = %d, want %d", got, csi.Done)
	}
}

// narrow is a connection that takes small answers only.
type narrow struct {
	grpc.ClientConnInterface
	bytes int
}

func (n narrow) Invoke(ctx context.Context, method string, request, response any, options ...grpc.CallOption) error {
	return n.ClientConnInterface.Invoke(ctx, method, request, response, append(options, grpc.MaxCallRecvMsgSize(n.bytes))...)
}

// What gRPC says of an answer that is too large is found by its words, so they
// come from gRPC itself here.
func TestClassifyAnswerThatIsTooLarge(t *testing.T) {
	const limit = 16 << 10
	large := &csipb.CreateVolumeResponse{Volume: &csipb.Volume{VolumeId: strings.Repeat("v", 2*limit)}}
	cases := map[string]struct {
		create func(context.Context, *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error)
		want   csi.Outcome
	}{
		"plain": {func(context.Context, *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error) {
			return large, nil
		}, csi.Ambiguous},
		"compressed": {func(ctx context.Context, _ *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error) {
			return large, grpc.SetSendCompressor(ctx, "gzip")
		}, csi.Ambiguous},
		"the driver's own lack": {func(context.Context, *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error) {
			return nil, status.Error(codes.ResourceExhausted, "no space left in the pool")
		}, csi.Exhausted},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			conn := connected(t, &driver{createVolume: c.create})
			_, err := csi.NewDriver(narrow{conn, limit}).CreateVolume(t.Context(), &csipb.CreateVolumeRequest{})
			if code := status.Code(err); code != codes.ResourceExhausted {
				t.Fatalf("the error has code %s, want %s: %v", code, codes.ResourceExhausted, err)
			}
			if got := csi.Classify(err); got != c.want {
				t.Errorf("Classify(%v) = %d, want %d", err, got, c.want)
			}
			if got := csi.Classify(fmt.Errorf("creating: %w", err)); got != c.want {
				t.Errorf("Classify(wrapped %v) = %d, want %d", err, got, c.want)
			}
		})
	}
}

func TestPredicates(t *testing.T) {
	predicates := map[codes.Code]func(error) bool{
		codes.NotFound:    csi.NotFound,
		codes.Unavailable: csi.Unreachable,
	}
	for mine, predicate := range predicates {
		for code := codes.OK; code <= codes.Unauthenticated; code++ {
			err := status.Error(code, "x")
			if got, want := predicate(err), code == mine; got != want {
				t.Errorf("the predicate of %s gives %t for %s", mine, got, code)
			}
		}
		if wrapped := fmt.Errorf("wrapped: %w", status.Error(mine, "x")); !predicate(wrapped) {
			t.Errorf("the predicate of %s does not know a wrapped error", mine)
		}
		if predicate(errors.New("x")) {
			t.Errorf("the predicate of %s takes any error", mine)
		}
	}
}

func TestMessage(t *testing.T) {
	cases := map[string]struct {
		err  error
		want string
	}{
		"of the driver": {status.Error(codes.Internal, "pool p1 is read-only"), "Internal: pool p1 is read-only"},
		"of another":    {csi.ErrStopping, csi.ErrStopping.Error()},
	}
	for name, c := range cases {
		if got := csi.Message(c.err); got != c.want {
			t.Errorf("%s: Message = %q, want %q", name, got, c.want)
		}
	}
}
