// Command e2e shows and tests the sidecar on a real Kubernetes cluster on this machine.
// Each subcommand starts a cluster of its own, and stops it in the end, also on Ctrl-C.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

func main() {
	klog.SetLogger(logr.Discard()) // client-go tells of connections that end with the cluster
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	restore()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", explain(ctx, err))
		os.Exit(1)
	}
}

// explain says why the program ends. What was waited for does not matter to a user who
// pressed Ctrl-C.
func explain(ctx context.Context, err error) string {
	if stage.Interrupted(ctx, err) {
		return "interrupted"
	}
	return err.Error()
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "e2e",
		Short: "Show and test csi-provisioner on a real Kubernetes cluster on this machine",
		Long: `Show and test csi-provisioner on a real Kubernetes cluster on this machine.

Each command starts a cluster of its own, from the programs in bin, and stops it in the
end, also on Ctrl-C. The exit code is 1 if anything is wrong.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newDemo(), newCluster(), newChaos(), newSoak(), newPrice(), newCompare(), newBench())
	root.CompletionOptions.DisableDefaultCmd = true
	return root
}
