package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// at writes files below a new directory and returns it.
func at(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestDifference(t *testing.T) {
	for name, test := range map[string]struct {
		got, want string
		line      int
	}{
		"none":      {"a\nb\n", "a\nb\n", 0},
		"second":    {"a\nx\n", "a\nb\n", 2},
		"too short": {"a\n", "a\nb\n", 2},
		"too long":  {"a\nb\nc\n", "a\nb\n", 3},
		"empty":     {"", "a\n", 1},
	} {
		if line, differs := firstDifference(test.got, test.want); line != test.line || differs != (test.line > 0) {
			t.Errorf("%s: line %d, %v, want line %d", name, line, differs, test.line)
		}
	}
}

// TestPageThatIsOld: whoever changes a flag is told which page to write again, and
// how.
func TestPageThatIsOld(t *testing.T) {
	text, err := flagsPage()
	if err != nil {
		t.Fatal(err)
	}
	root := at(t, map[string]string{"good.md": text, "old.md": strings.Replace(text, "`--timeout`", "`--time-out`", 1)})
	if err := compare(filepath.Join(root, "good.md"), text); err != nil {
		t.Errorf("a page as it must be: %v", err)
	}
	for _, name := range []string{"old.md", "missing.md"} {
		if err := compare(filepath.Join(root, name), text); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "make generate") {
			t.Errorf("%s: error %v, want one with the page and the fix", name, err)
		}
	}
}

func TestCellsKeepTheTableWhole(t *testing.T) {
	rows := newTable("a", "b")
	rows.row("x|y", "z")
	if got, want := rows.String(), "| a | b |\n|--|--|\n| x\\|y | z |\n"; got != want {
		t.Errorf("the table is %q, want %q", got, want)
	}
}
