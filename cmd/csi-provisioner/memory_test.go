package main

import (
	"errors"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// runtimeLimits returns what the Go runtime goes by.
func runtimeLimits() (percent int, bytes int64) {
	percent = debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	return percent, debug.SetMemoryLimit(-1)
}

// keepRuntime restores what the test changes.
func keepRuntime(t *testing.T) {
	percent, bytes := runtimeLimits()
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(bytes)
	})
}

// without takes a variable out of the environment of the test.
func without(t *testing.T, variable string) {
	t.Setenv(variable, "")
	if err := os.Unsetenv(variable); err != nil {
		t.Fatal(err)
	}
}

func TestMemoryFollowsTheContainer(t *testing.T) {
	keepRuntime(t)
	without(t, "GOGC")
	without(t, "GOMEMLIMIT")
	if err := tuneMemory(t.Context(), memlimit.Limit(1000<<20)); err != nil {
		t.Fatal(err)
	}
	if percent, bytes := runtimeLimits(); percent != gcPercent || bytes != 900<<20 {
		t.Errorf("garbage is collected at %d %%, and below %d bytes", percent, bytes)
	}
}

func TestMemoryOfTheEnvironment(t *testing.T) {
	keepRuntime(t)
	percent, bytes := runtimeLimits()
	t.Setenv("GOGC", "200")
	t.Setenv("GOMEMLIMIT", "1GiB")
	if err := tuneMemory(t.Context(), memlimit.Limit(1000<<20)); err != nil {
		t.Fatal(err)
	}
	// The runtime itself has read the variables when the test began.
	if p, b := runtimeLimits(); p != percent || b != bytes {
		t.Errorf("they were changed to %d %% and %d bytes", p, b)
	}
}

func TestMemoryLimitCannotBeRead(t *testing.T) {
	keepRuntime(t)
	without(t, "GOMEMLIMIT")
	err := tuneMemory(t.Context(), func() (uint64, error) { return 0, errors.New("no such file") })
	if err == nil || !strings.Contains(err.Error(), "no such file") || !strings.Contains(err.Error(), "GOMEMLIMIT") {
		t.Errorf("the error is %v", err)
	}
}
