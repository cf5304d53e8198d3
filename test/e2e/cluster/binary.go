package cluster

import (
	"fmt"
	"os"
	"path/filepath"
)

// BinaryVariable is the environment variable with the path of the kube program.
const BinaryVariable = "KUBE_BINARY"

// BuildCommand builds the kube program, when run at the top of the repository.
// The version is stamped on it because the components tell and compare theirs.
const BuildCommand = `(cd test/e2e/kube && CGO_ENABLED=0 go build -trimpath` +
	` -ldflags '-s -w` +
	` -X k8s.io/component-base/version.gitVersion=v1.37.2` +
	` -X k8s.io/component-base/version.gitMajor=1` +
	` -X k8s.io/component-base/version.gitMinor=37'` +
	` -o ../../../bin/kube .)`

// Binary finds the kube program: the file that the environment variable
// KUBE_BINARY names, or else bin/kube in the working directory or in one above
// it. The error says how to build it.
func Binary() (string, error) {
	if path := os.Getenv(BinaryVariable); path != "" {
		if !isFile(path) {
			return "", fmt.Errorf("there is no kube program at %q, which %s names; build it with\n%s",
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
			return "", fmt.Errorf("there is no bin/kube here or above; build it, which takes some minutes the first time, with\n%s",
				BuildCommand)
		}
		dir = parent
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
