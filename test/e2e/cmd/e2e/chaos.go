package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/chaos"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

type chaosFlags struct {
	options      chaos.Options
	program      string
	programFlags []string
	peers        []string
	volumes      int
	peerVolumes  int
	out, with    string
	keepLogs     bool
}

func newChaos() *cobra.Command {
	f := chaosFlags{options: chaos.Options{Progress: say}}
	cmd := &cobra.Command{
		Use:   "chaos",
		Short: "Look for lost volumes while the sidecar is killed and everything fails",
		Example: `  e2e chaos --volumes=10000 --program=bin/chaos-provisioner \
    --peers=bin/peer-provisioner,bin/peer-resizer --peer-volumes=1000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onStage(cmd, f.keepLogs, func(s *stage.Stage) error { return f.run(cmd.Context(), s) })
		},
	}
	set := cmd.Flags()
	seedFlag(set, &f.options.Seed)
	durationFlag(set, &f.options.Duration, 0)
	lanesFlag(set, &f.options.Lanes)
	programFlagsFlag(set, &f.programFlags)
	outFlag(set, &f.out)
	keepLogsFlag(set, &f.keepLogs)
	set.StringVar(&f.program, "program", "", "path of the sidecar, built with the tag failpoints (empty: none)")
	set.StringSliceVar(&f.peers, "peers", nil, "paths of external-provisioner and external-resizer (empty: none)")
	set.IntVar(&f.volumes, "volumes", 1000, "go on until the driver has made that many, at least")
	set.IntVar(&f.peerVolumes, "peer-volumes", 1000, "the same for the peers")
	set.IntVar(&f.options.Rounds, "rounds", 0, "play no more than that (0: no limit)")
	set.StringVar(&f.with, "with", "", "put the figures of an earlier run, a JSON `file`, beside those of this one")
	return cmd
}

// run fails when anything is wrong with this project's sidecar.
func (f chaosFlags) run(ctx context.Context, s *stage.Stage) error {
	all, err := f.play(ctx, s)
	if reportErr := f.report(all); err == nil {
		err = reportErr
	}
	if err != nil {
		return err
	}
	return all.Judge()
}

// play runs the test with each of the programs.
func (f chaosFlags) play(ctx context.Context, s *stage.Stage) (chaos.All, error) {
	var runs []chaos.Options
	if f.program != "" {
		own := f.options
		own.Program, own.Volumes, own.Prefix = chaos.Own(f.program, f.programFlags...), f.volumes, "own"
		runs = append(runs, own)
	}
	if len(f.peers) == 2 {
		peers := f.options
		peers.Program, peers.Volumes, peers.Prefix = chaos.Peers(f.peers[0], f.peers[1]), f.peerVolumes, "peer"
		runs = append(runs, peers)
	}
	var all chaos.All
	for _, o := range runs {
		say("\n==> " + o.Program.Name)
		figures, err := chaos.Run(ctx, s, o)
		all = append(all, figures)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// report shows the figures, beside those of the earlier run.
func (f chaosFlags) report(all chaos.All) error {
	if f.with != "" {
		var earlier chaos.All
		if err := figures.Read(f.with, &earlier); err != nil {
			return err
		}
		all = append(all, earlier...)
	}
	return show(all, f.out)
}
