package main

import (
	"io"
	"os"
	"strings"
	"testing"

	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/options"
)

// TestAlphaOptionsOfLogging: they can be used, but only on purpose.
func TestAlphaOptionsOfLogging(t *testing.T) {
	// It is the process that can be set up once, and a test may run more often.
	if err := logsapi.ResetForTest(nil); err != nil {
		t.Fatal(err)
	}
	parse := func(args ...string) options.Config {
		config, err := options.Parse(args, os.Getenv, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	if err := applyLogging(parse("--log-text-split-stream")); err == nil || !strings.Contains(err.Error(), "LoggingAlphaOptions") {
		t.Errorf("without the gate: %v, want an error that names it", err)
	}
	if err := applyLogging(parse("--log-text-split-stream", "--feature-gates=LoggingAlphaOptions=true")); err != nil {
		t.Errorf("with the gate: %v", err)
	}
}
