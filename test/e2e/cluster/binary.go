package cluster

import (
	"fmt"
	"os"
	"path/filepath"
)

// BinaryVariable is the environment variable with the path of the kube program.
const BinaryVariable = "KUBE_BINARY"

// BuildCommand builds the kube program, when run at the top of the repository.
const BuildCommand = "make bin/kube"

// Binary finds the kube program: the file that the environment variable
// KUBE_BINARY names, or else bin/kube in the working directory or in one above
// it. The error says how to build it.
func Binary() (string, error) {
	if path := os.Getenv(BinaryVariable); path != "" {
		if !isFile(path) {
			return "", fmt.Errorf("there is no kube program at %q, which %s names; build it at the top of the repository with: %s",
				path, BinaryVariable, BuildCommand)
		}
		return filepath.Abs(path)
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the kube program: %w", err)
	}
	for {
		if path := filepath.Join(dir, "bin", "kube"); isFile(path) {
			return path, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("there is no bin/kube here or above; build it, which takes some minutes the first time, at the top of the repository with: %s",
				BuildCommand)
		}
		dir = parent
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
