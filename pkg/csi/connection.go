package csi

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kubernetes-csi/csi-lib-utils/protosanitizer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"k8s.io/klog/v2"
)

const (
	// reconnectDelay is the longest pause between two attempts to connect.
	reconnectDelay = time.Second
	// maxResponseBytes bounds the driver's answers. It is far above what the
	// API server would store, so that it is not gRPC that drops the answer, and
	// with it the handle of a volume.
	maxResponseBytes = 64 << 20
)

// Recorder takes the duration and the error of each call; method is the full gRPC
// name, migrated tells whether the call is for a volume of an in-tree plugin.
type Recorder interface {
	Record(method string, migrated bool, err error, duration time.Duration)
}

// migratedKey is the context's key for calls for volumes of an in-tree plugin.
type migratedKey struct{}

// ForMigrated returns a context for calls for volumes of the in-tree plugin whose
// place the driver has taken, or for others.
func ForMigrated(ctx context.Context, migrated bool) context.Context {
	if !migrated {
		return ctx
	}
	return context.WithValue(ctx, migratedKey{}, true)
}

// IsForMigrated tells what [ForMigrated] has noted.
func IsForMigrated(ctx context.Context) bool {
	migrated, _ := ctx.Value(migratedKey{}).(bool)
	return migrated
}

// Dial returns a connection to the driver at a socket's path or a gRPC address.
// It does not wait for the driver. A connection that is lost is made again.
func Dial(address string, recorder Recorder) (*grpc.ClientConn, error) {
	if strings.HasPrefix(address, "/") {
		address = "unix://" + address
	}
	delays := backoff.DefaultConfig
	delays.MaxDelay = reconnectDelay
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), // a socket in the pod
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: delays, MinConnectTimeout: reconnectDelay}),
		grpc.WithIdleTimeout(0),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxResponseBytes), grpc.ForceCodecV2(newCodec())),
		grpc.WithChainUnaryInterceptor(logCalls, recordCalls(recorder), scrubErrors),
	)
	if err != nil {
		return nil, fmt.Errorf("connecting to the CSI driver at %q: %w", address, err)
	}
	return conn, nil
}

// verbose is the log level of calls, as in the other CSI sidecars.
const verbose = 5

// logCalls logs each call and its answer without secrets.
func logCalls(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	logger := klog.FromContext(ctx).V(verbose)
	logger.Info("Calling the CSI driver", "method", method, "request", protosanitizer.StripSecrets(request))
	err := invoke(ctx, method, request, response, conn, options...)
	logger.Info("The CSI driver answered", "method", method, "response", logged{response}, "err", err)
	return err
}

func recordCalls(recorder Recorder) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		start := time.Now()
		err := invoke(ctx, method, request, response, conn, options...)
		recorder.Record(method, IsForMigrated(ctx), err, time.Since(start))
		return err
	}
}

// logged prints a driver's answer without secrets, and no more of it than anybody
// reads.
type logged struct{ response any }

func (l logged) String() string { return shorten(protosanitizer.StripSecrets(l.response).String()) }
