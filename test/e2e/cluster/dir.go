package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	// logs is the subdirectory of the logs.
	logs = "logs"
	// work is the subdirectory that is the components' working directory.
	work = "work"
)

// maxDir is the longest path, in bytes, of a cluster's directory. The path of a
// unix socket has 107, and the sockets of drivers in the kubelet's directory need
// the rest.
const maxDir = 39

// makeDir makes a cluster's directory, or a new one for temporary files, with
// the first of its subdirectories, and returns its path without symbolic links, as the kernel
// names it in its tables. A directory that holds anything is refused, because it
// will be removed.
func makeDir(dir string) (string, error) {
	if dir == "" {
		return makeTemporaryDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the directory: %w", err)
	}
	return resolveDir(dir)
}

func makeTemporaryDir() (string, error) {
	made, err := os.MkdirTemp("", "kube-")
	if err != nil {
		return "", fmt.Errorf("making a directory: %w", err)
	}
	resolved, err := resolveDir(made)
	if err != nil {
		return "", errors.Join(err, os.Remove(made))
	}
	return resolved, nil
}

func resolveDir(dir string) (string, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("finding the directory: %w", err)
	}
	resolved, err := filepath.EvalSymlinks(absolute)
	if err != nil {
		return "", fmt.Errorf("finding the directory: %w", err)
	}
	if err := checkDir(resolved); err != nil {
		return "", err
	}
	for _, sub := range []string{logs, work} {
		if err := os.Mkdir(filepath.Join(resolved, sub), 0o755); err != nil {
			return "", fmt.Errorf("making the directory: %w", err)
		}
	}
	return resolved, nil
}

func checkDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the directory: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("the directory %q is not empty, and a cluster's directory is removed in the end: choose another", dir)
	}
	if len(dir) > maxDir {
		return fmt.Errorf("the path %q is too long for the sockets in it, it can have %d bytes: choose another, or set TMPDIR", dir, maxDir)
	}
	if strings.ContainsAny(dir, " \t\n") {
		return fmt.Errorf("the path %q has a space in it, which not all components take: choose another, or set TMPDIR", dir)
	}
	return nil
}
