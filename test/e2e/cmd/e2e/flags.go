package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// The flags that several commands have are defined here, so that each has one name and one
// meaning.

func seedFlag(set *pflag.FlagSet, value *uint64) {
	set.Uint64Var(value, "seed", 1, "`number` that determines every random choice")
}

func durationFlag(set *pflag.FlagSet, value *time.Duration, byDefault time.Duration) {
	set.DurationVar(value, "duration", byDefault, "stop after this time; what has begun by then is finished")
}

func lanesFlag(set *pflag.FlagSet, value *int) {
	countFlag(set, value, "lanes", 4, "how many rounds or scenarios run at one time")
}

func programFlagsFlag(set *pflag.FlagSet, value *[]string) {
	set.StringSliceVar(value, "program-flags", nil, "further flags of the sidecar, such as --provisioning-journal=off")
}

func outFlag(set *pflag.FlagSet, value *string) {
	set.StringVar(value, "out", "", "write the figures to this `file`: as JSON if its name ends in .json, otherwise as Markdown")
}

func keepLogsFlag(set *pflag.FlagSet, value *bool) {
	set.BoolVar(value, "keep-logs", false, "keep the logs of the cluster and of all programs; they are kept after a failure, too")
}

// say prints progress.
func say(message string) { fmt.Println(message) }

// onStage runs something on a cluster that is started for it.
func onStage(cmd *cobra.Command, keepLogs bool, run func(*stage.Stage) error) error {
	return stage.With(cmd.Context(), stage.Options{Progress: say}, stage.Logs{Keep: keepLogs, Tell: say}, run)
}

// show prints a report, and writes it to the file.
func show(report figures.Report, out string) error {
	fmt.Printf("\n%s\n", report.Table())
	return figures.Write(out, report)
}
