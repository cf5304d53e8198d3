package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/soak"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// samples is how many are taken, however long it lasts.
const samples = 720

func newSoak() *cobra.Command {
	options := soak.Options{Progress: say}
	var out string
	var keepLogs bool
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "Create, expand and delete volumes for a long time, with faults, and see whether the sidecar's memory grows",
		Long: `Create, expand and delete volumes for a long time, while the sidecar, the driver and the
API server have faults, and see whether the sidecar's memory, goroutines or open files
grow. docs/reliability.md explains the figures.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if options.Duration <= 0 {
				return fmt.Errorf("--duration=%s: must be more than 0", options.Duration)
			}
			options.SampleEvery = max(options.Duration/samples, 100*time.Millisecond)
			return onStage(cmd, keepLogs, func(s *stage.Stage) error { return runSoak(cmd, s, options, out) })
		},
	}
	set := cmd.Flags()
	durationFlag(set, &options.Duration, time.Hour)
	seedFlag(set, &options.Seed)
	outFlag(set, &out)
	keepLogsFlag(set, &keepLogs)
	countFlag(set, &options.Users, "users", 10, "number of claims that exist at one time")
	set.DurationVar(&options.Rest, "rest", 500*time.Millisecond, "time between two claims of a user")
	set.DurationVar(&options.FaultEvery, "fault-every", 10*time.Second, "time between two faults, on average")
	return cmd
}

func runSoak(cmd *cobra.Command, s *stage.Stage, options soak.Options, out string) error {
	result, err := soak.Run(cmd.Context(), s, options)
	if err != nil {
		if result != nil {
			say("\n" + result.Table())
		}
		return err
	}
	if err := show(result, out); err != nil {
		return err
	}
	return result.Judge()
}
