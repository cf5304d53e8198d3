package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
)

func newCluster() *cobra.Command {
	var options cluster.Options
	var kubelet string
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Start a cluster, and leave it running until Ctrl-C",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if options.Kubelet, err = wantsKubelet(kubelet); err != nil {
				return err
			}
			return runCluster(cmd, options)
		},
	}
	set := cmd.Flags()
	set.StringVar(&kubelet, "kubelet", "auto", "whether to run a kubelet, which needs root: `true, false or auto`, which runs one if this program runs as root")
	set.StringVar(&options.Dir, "dir", "", "`directory` of the cluster, which must be empty or not exist, and is removed at the end (default: a temporary one)")
	set.StringVar(&options.NodeName, "node-name", cluster.DefaultNodeName, "`name` of the kubelet's node")
	return cmd
}

// runCluster has a cluster until the context ends.
func runCluster(cmd *cobra.Command, options cluster.Options) (err error) {
	begin := time.Now()
	options.Progress = func(message string) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%6.2fs  %s\n", time.Since(begin).Seconds(), message)
	}
	c, err := cluster.Start(cmd.Context(), options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	describe(cmd.OutOrStdout(), c, options.Kubelet)
	<-cmd.Context().Done()
	return nil
}

func wantsKubelet(flag string) (bool, error) {
	if flag == "auto" {
		return os.Geteuid() == 0, nil
	}
	wanted, err := strconv.ParseBool(flag)
	if err != nil {
		return false, fmt.Errorf("--kubelet is true, false or auto, and not %q", flag)
	}
	return wanted, nil
}

// describe tells how to use the cluster, and how to end it. The lines are made
// for a shell: all but the export are comments.
func describe(output io.Writer, c *cluster.Cluster, kubelet bool) {
	fmt.Fprintf(output, "\nexport KUBECONFIG=%s\n\n", c.Kubeconfig())
	if kubelet {
		fmt.Fprintf(output, "# The kubelet of node %s is in %s,\n", c.NodeName(), c.KubeletDir())
		fmt.Fprintf(output, "# and takes drivers that register in %s.\n", c.RegistrationDir())
	} else {
		fmt.Fprintf(output, "# There is no kubelet and no node.\n")
	}
	fmt.Fprintf(output, "# The logs are in %s.\n", c.LogDir())
	fmt.Fprintf(output, "# Press Ctrl-C, or run kill %d, to stop the cluster and remove all of that.\n", os.Getpid())
}
