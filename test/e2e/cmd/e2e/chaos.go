package main

import (
	"context"
	"errors"
	"fmt"

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
		Long: `Look for lost volumes while the sidecar is killed and everything around it fails: the
driver, the API server, and the connections to them.

Rounds are played until the driver has made --volumes volumes, or until --rounds or
--duration is reached. --program tests this project's sidecar, --peers tests
external-provisioner and external-resizer; with both, one table shows their figures side by
side. The exit code is 1 if anything is wrong with this project's sidecar.
docs/reliability.md explains the figures.`,
		Example: `  bin/e2e chaos --volumes=10000 --program=bin/chaos-provisioner \
    --peers=bin/peer-provisioner,bin/peer-resizer --peer-volumes=1000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.validate(); err != nil {
				return err
			}
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
	set.StringVar(&f.program, "program", "", "`path` of the sidecar, built with the tag failpoints (empty: do not test it)")
	set.StringSliceVar(&f.peers, "peers", nil, "`paths` of external-provisioner and external-resizer (empty: do not test them)")
	countFlag(set, &f.volumes, "volumes", 1000, "stop when the driver has made this many volumes for the sidecar")
	countFlag(set, &f.peerVolumes, "peer-volumes", 1000, "stop when the driver has made this many volumes for the peers")
	set.IntVar(&f.options.Rounds, "rounds", 0, "stop after this many rounds (0: no limit)")
	set.StringVar(&f.with, "with", "", "show the figures of an earlier run, a JSON `file`, beside those of this one")
	return cmd
}

// validate finds what is wrong with the flags before a cluster is started.
func (f chaosFlags) validate() error {
	switch {
	case f.program == "" && len(f.peers) == 0:
		return errors.New("there is nothing to test: set --program, --peers or both")
	case len(f.peers) != 0 && len(f.peers) != 2:
		return fmt.Errorf("--peers takes two paths, and not %d: external-provisioner,external-resizer", len(f.peers))
	}
	return nil
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
