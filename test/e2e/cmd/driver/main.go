package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:])
	stop()
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "driver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "cleanup" {
		return cleanup(args[1:])
	}
	return serve(ctx, args)
}

// serve runs a driver until the context ends.
func serve(ctx context.Context, args []string) error {
	parsed, err := parse(args)
	if err != nil {
		return err
	}
	log := logr.FromSlogHandler(parsed.logHandler())
	parsed.options.Log = log
	running, err := driver.Start(ctx, parsed.options)
	if err != nil {
		return err
	}
	select {
	case err = <-running.Failed():
	case <-ctx.Done():
		log.Info("Driver stops; its volumes stay")
	}
	return errors.Join(err, running.Stop())
}

// cleanup takes away what is left of the volumes of a driver that has gone.
func cleanup(args []string) error {
	flags := pflag.NewFlagSet("driver cleanup", pflag.ContinueOnError)
	stateDir := flags.String("state-dir", "", "the directory that the driver was started with")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *stateDir == "" {
		return errors.New("--state-dir is required")
	}
	return driver.Cleanup(*stateDir)
}

func (p parsed) logHandler() slog.Handler {
	options := &slog.HandlerOptions{Level: slog.Level(-p.verbosity)}
	if p.logFormat == "json" {
		return slog.NewJSONHandler(os.Stderr, options)
	}
	return slog.NewTextHandler(os.Stderr, options)
}
