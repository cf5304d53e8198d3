// Command price measures what the journal costs (see the package test/e2e/price), and
// prints a table. The exit code is 1 when that is more than it may be.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/price"
)

func main() {
	options := price.Options{Progress: func(message string) { fmt.Println(message) }}
	set := pflag.NewFlagSet("price", pflag.ExitOnError)
	set.IntVar(&options.Claims, "claims", 3000, "claims in a burst")
	set.IntVar(&options.Lone, "lone", 30, "claims that come alone")
	set.IntVar(&options.Pairs, "pairs", 5, "how often both modes are measured")
	set.StringSliceVar(&options.Flags, "program-flags", nil, "further flags of the sidecar")
	out := set.String("out", "", "write the table to this file")
	_ = set.Parse(os.Args[1:]) // exits on error
	klog.SetLogger(logr.Discard())
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, options, *out)
	restore()
	if err != nil {
		fmt.Fprintln(os.Stderr, "price:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, options price.Options, out string) error {
	measured, err := price.Run(ctx, options)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n", measured.Table())
	if err := figures.Write(out, measured); err != nil {
		return err
	}
	if excess := measured.Excess(); len(excess) > 0 {
		return errors.New("the journal costs too much: " + strings.Join(excess, "; "))
	}
	return nil
}
