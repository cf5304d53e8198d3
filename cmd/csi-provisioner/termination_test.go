package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTerminationMessage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "termination-log")
	leaveMessage(path, errors.New("the lease is lost"))
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Fatalf("a file is made where none was: %v", err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("older ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, reason := range map[string]string{
		"the lease is lost":       "the lease is lost",
		strings.Repeat("x", 4096): strings.Repeat("x", 5000),
	} {
		leaveMessage(path, errors.New(reason))
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("the message is %q, want %q", got, want)
		}
	}
}
