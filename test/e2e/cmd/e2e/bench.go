package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/bench"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
)

func newBench() *cobra.Command {
	options := bench.Options{Progress: say}
	var results string
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the sidecar and its peers side by side",
		Long: `Measure the sidecar and its peers side by side: rates, CPU time, memory and requests, with
medians of several rounds in which both are measured in turn on one cluster. The results are
kept in a directory, with a page and plots that are made from them; rows that are not
measured keep their last results.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			kube, err := cluster.Binary()
			if err != nil {
				return err
			}
			options.Bin = filepath.Dir(kube)
			book, err := bench.OpenBook(results)
			if err != nil {
				return err
			}
			return bench.Run(cmd.Context(), options, func(result bench.Result) error {
				say("\n" + book.Table(result))
				return book.Add(result)
			})
		},
	}
	set := cmd.Flags()
	set.StringSliceVar(&options.Rows, "row", nil, "`name` of a row to measure; may be given several times (default all)")
	set.StringSliceVar(&options.Only, "only", nil, `measure only some of "`+bench.Own+`", "`+bench.Peer+`" and "`+bench.Baseline+`"`)
	set.StringVar(&options.Baseline, "baseline", "", "measure this program of the project, too, say one that was built before a change")
	set.BoolVar(&options.Quick, "quick", false, "measure next to nothing, to see that all works")
	set.StringVar(&results, "results", "", "keep the results in this `directory`, with plots, and write a page of its name with .md")
	countFlag(set, &options.Rounds, "samples", 5, "how often each is measured")
	programFlagsFlag(set, &options.Flags)
	keepLogsFlag(set, &options.KeepLogs)
	return cmd
}
