package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"k8s.io/klog/v2"
)

const (
	// gcPercent is by how much the heap may grow until it is collected, in percent of what
	// is in use. Go's own value is 100: this one takes some percent more CPU time, and a
	// tenth less memory.
	gcPercent = 75
	// memoryRatio is the part of the container's memory limit from which on garbage is
	// collected as often as is needed to stay below it. The rest is for what Go does not
	// count, above all the program itself.
	memoryRatio = 0.9
	// memoryRefresh is how often the limit is read again, as it can be changed while a
	// container runs (KEP 1287).
	memoryRefresh = time.Minute
)

// tuneMemory has the Go runtime go by the memory limit that the provider finds, that of the
// container, until the context ends. The environment variables GOGC and GOMEMLIMIT win over
// it, as they do everywhere.
func tuneMemory(ctx context.Context, provider memlimit.Provider) error {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
	limit, err := memlimit.Set(memlimit.WithProvider(provider), memlimit.WithRatio(memoryRatio), memlimit.WithRefreshInterval(ctx, memoryRefresh))
	if err != nil {
		return fmt.Errorf("reading the container's memory limit: %w: to do without it, set the environment variable GOMEMLIMIT", err)
	}
	klog.FromContext(ctx).V(1).Info("Memory is limited", "bytes", limit)
	return nil
}
