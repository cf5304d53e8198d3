// Package cri is a container runtime without containers: pods and containers
// are remembered as running, and nothing is. The kubelet's work on volumes,
// which needs no container, is real all the same.
package cri

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cri-client/pkg/fake"
)

// Main serves the Container Runtime Interface on a unix socket until the
// process is told to stop. args are the part's name and the socket's path; the
// result is an exit code.
//
// It is a process of its own, not a part of the kubelet's, so that pods keep
// running while a kubelet is restarted.
func Main(args []string) int {
	if len(args) != 2 {
		fmt.Fprintf(os.Stderr, "usage: %s SOCKET\n", args[0])
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, socket string) error {
	server := fake.NewFakeRemoteRuntime()
	if err := server.Start("unix://" + socket); err != nil {
		return fmt.Errorf("serving the container runtime on %q: %w", socket, err)
	}
	defer server.Stop()
	<-ctx.Done()
	return nil
}
