// Command cluster starts a Kubernetes cluster for a person, see the package
// cluster, and leaves it running until Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run starts the cluster that the arguments describe and stops it when the
// context ends.
func run(ctx context.Context, arguments []string, output, progress io.Writer) (err error) {
	options, err := parse(arguments, progress)
	if err != nil {
		return err
	}
	begin := time.Now()
	options.Progress = func(message string) {
		fmt.Fprintf(progress, "%6.2fs  %s\n", time.Since(begin).Seconds(), message)
	}
	c, err := cluster.Start(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()

	describe(output, c, options.Kubelet)
	<-ctx.Done()
	return nil
}

// parse reads the flags. Errors in them were printed when it returns.
func parse(arguments []string, output io.Writer) (cluster.Options, error) {
	var options cluster.Options
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.SetOutput(output)
	kubelet := flags.String("kubelet", "auto", "run a kubelet, which needs root: `true, false or auto`, which is whether there is root")
	flags.StringVar(&options.Dir, "dir", "", "`directory` of the cluster, empty or yet to be made, removed in the end (default: a temporary one)")
	flags.StringVar(&options.NodeName, "node-name", cluster.DefaultNodeName, "`name` of the kubelet's node")
	if err := flags.Parse(arguments); err != nil {
		return options, err
	}
	if flags.NArg() > 0 {
		return options, fmt.Errorf("there are only flags, and %q is none", flags.Arg(0))
	}
	var err error
	options.Kubelet, err = wantsKubelet(*kubelet)
	return options, err
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
