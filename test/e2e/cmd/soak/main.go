// Command soak has a sidecar create, grow and delete volumes for a long time, with
// faults, and looks whether it gets bigger (see the package test/e2e/soak). The exit
// code is 1 when it does, or when anything else is wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/soak"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// samples is how many are taken, however long it lasts.
const samples = 720

func main() {
	options := soak.Options{Progress: func(message string) { fmt.Println(message) }}
	set := pflag.NewFlagSet("soak", pflag.ExitOnError)
	set.DurationVar(&options.Duration, "duration", time.Hour, "how long it lasts")
	set.IntVar(&options.Users, "users", 10, "claims that live at one time")
	set.DurationVar(&options.Rest, "rest", 500*time.Millisecond, "time between two claims of a user")
	set.DurationVar(&options.FaultEvery, "fault-every", 10*time.Second, "time between two faults, on average")
	set.Uint64Var(&options.Seed, "seed", 1, "the faults follow from it")
	out := set.String("out", "", "write the table to this file")
	_ = set.Parse(os.Args[1:]) // exits on error
	options.SampleEvery = max(options.Duration/samples, 100*time.Millisecond)
	klog.SetLogger(logr.Discard()) // client-go tells of an API server that is paused
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, options, *out)
	restore()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, options soak.Options, out string) (err error) {
	s, err := stage.Open(ctx, stage.Options{Progress: options.Progress})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.End(err != nil, options.Progress)) }()
	result, err := soak.Run(ctx, s, options)
	if result != nil {
		fmt.Printf("\n%s\n", result.Table())
	}
	if err != nil {
		return err
	}
	if err := figures.Write(out, result); err != nil {
		return err
	}
	return result.Judge()
}
