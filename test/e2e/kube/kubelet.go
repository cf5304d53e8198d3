package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// runKubelet runs a kubelet, in an empty working directory only.
//
// When a container goes, the kubelet removes its logs, which are all files
// whose names begin with the path of the log that the runtime tells. Our runtime
// has no logs and tells none, and so every file in the working directory has
// such a name.
func runKubelet(args []string) int {
	if err := inEmptyDir(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", args[0], err)
		return 2
	}
	command := func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }
	return component(command)(args)
}

func inEmptyDir() error {
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("finding the working directory: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the working directory: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("the working directory %q is not empty, and this kubelet removes files in it", dir)
	}
	return nil
}
