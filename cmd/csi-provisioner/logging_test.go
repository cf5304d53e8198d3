package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/options"
)

// TestAlphaOptionsOfLogging: they can be used, but only on purpose.
func TestAlphaOptionsOfLogging(t *testing.T) {
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
