package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/price"
)

func newPrice() *cobra.Command {
	options := price.Options{Progress: say}
	var out string
	cmd := &cobra.Command{
		Use:   "price",
		Short: "Measure what the journal costs: bursts of claims with it and without it, in turns",
		Long: `Measure what the journal costs: the times, the writes to the API server and the CPU time of
bursts of claims, and of claims that come alone, with the journal and without it, in turns.
Each measurement is on a new cluster. docs/reliability.md explains the figures.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			measured, err := price.Run(cmd.Context(), options)
			if err != nil {
				return err
			}
			if err := show(measured, out); err != nil {
				return err
			}
			if excess := measured.Excess(); len(excess) > 0 {
				return errors.New("the journal costs too much: " + strings.Join(excess, "; "))
			}
			return nil
		},
	}
	set := cmd.Flags()
	programFlagsFlag(set, &options.Flags)
	outFlag(set, &out)
	keepLogsFlag(set, &options.KeepLogs)
	countFlag(set, &options.Claims, "claims", 3000, "number of claims in a burst")
	countFlag(set, &options.Lone, "lone", 30, "number of claims that come alone, one after the other")
	countFlag(set, &options.Pairs, "pairs", 5, "how often to measure both with the journal and without it")
	return cmd
}
