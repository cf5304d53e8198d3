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
		Args:  cobra.NoArgs,
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
	set.IntVar(&options.Claims, "claims", 3000, "claims in a burst")
	set.IntVar(&options.Lone, "lone", 30, "claims that come alone")
	set.IntVar(&options.Pairs, "pairs", 5, "how often both modes are measured")
	return cmd
}
