package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestCommands(t *testing.T) {
	var got []string
	for _, cmd := range newCommand().Commands() {
		got = append(got, cmd.Name())
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: it says %q of itself", cmd.Name(), cmd.Short)
		}
	}
	if want := []string{"bench", "chaos", "cluster", "compare", "demo", "price", "soak"}; !slices.Equal(got, want) {
		t.Errorf("the commands are %q, want %q", got, want)
	}
}

// TestSharedFlags: a flag that several commands have means the same everywhere.
func TestSharedFlags(t *testing.T) {
	usages := map[string]string{}
	shared := map[string]bool{}
	for _, cmd := range newCommand().Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if usage, known := usages[f.Name]; known {
				shared[f.Name] = true
				if usage != f.Usage {
					t.Errorf("--%s of %s: %q, and elsewhere %q", f.Name, cmd.Name(), f.Usage, usage)
				}
			}
			usages[f.Name] = f.Usage
		})
	}
	for _, name := range []string{"seed", "out", "duration", "lanes", "keep-logs", "program-flags"} {
		if !shared[name] {
			t.Errorf("--%s is not shared", name)
		}
	}
}

func TestWrongArguments(t *testing.T) {
	for _, arguments := range [][]string{
		{"chaos"}, // would test nothing, and pass
		{"bench", "chaos", "--peers=external-provisioner"},
		{"bench", "chaos", "--program=sidecar", "--lanes=0"},
		{"bench", "chaos", "--program=sidecar", "extra"},
		{"price", "--pairs=none"},
		{"soak", "--duration=long"},
		{"soak", "--duration=0s"},
		{"cluster", "--kubelet=maybe"},
		{"unknown"},
	} {
		cmd := newCommand()
		cmd.SetArgs(arguments)
		if err := cmd.ExecuteContext(t.Context()); err == nil {
			t.Errorf("%q is accepted", arguments)
		}
	}
}
