package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/demo"
)

func newDemo() *cobra.Command {
	options := demo.Options{Out: os.Stdout}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the sidecar at work: a Secret, a class, a claim, a pod, and an expansion",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return demo.Run(cmd.Context(), options) },
	}
	cmd.Flags().BoolVar(&options.Keep, "keep", false, "leave everything running until Ctrl-C")
	return cmd
}
