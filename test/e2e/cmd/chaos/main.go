// Command chaos runs the chaos test (see the package test/e2e/chaos) on a cluster
// of its own, with this project's sidecar, its peers, or both, and prints a table.
//
//	chaos --volumes=10000 --program=bin/chaos-provisioner \
//	      --peers=bin/peer-provisioner,bin/peer-resizer --peer-volumes=1000
//
// The exit code is 1 when anything was wrong with this project's sidecar. Ctrl-C
// ends the run with the table so far.
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

	"github.com/csi-provisioner/csi-provisioner/test/e2e/chaos"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

type flags struct {
	seed          uint64
	program       string
	programFlags  []string
	peers         []string
	volumes       int
	peerVolumes   int
	rounds, lanes int
	duration      time.Duration
	out, with     string
	keep          bool
}

func main() {
	var f flags
	set := pflag.NewFlagSet("chaos", pflag.ExitOnError)
	set.Uint64Var(&f.seed, "seed", 1, "what happens in the rounds follows from it")
	set.StringVar(&f.program, "program", "", "path of the sidecar, built with the tag failpoints; empty for none")
	set.StringSliceVar(&f.programFlags, "program-flags", nil, "further flags of the sidecar, such as --provisioning-journal=off to see what that loses")
	set.StringSliceVar(&f.peers, "peers", nil, "paths of external-provisioner and external-resizer; empty for none")
	set.IntVar(&f.volumes, "volumes", 1000, "go on until the driver has made that many, at least")
	set.IntVar(&f.peerVolumes, "peer-volumes", 1000, "the same for the peers")
	set.IntVar(&f.rounds, "rounds", 0, "play no more than that; 0 is no limit")
	set.DurationVar(&f.duration, "duration", 0, "begin no round after that time; 0 is no limit")
	set.IntVar(&f.lanes, "lanes", 4, "rounds at one time")
	set.StringVar(&f.out, "out", "", "write the figures to this file: JSON if its name ends so, else Markdown")
	set.StringVar(&f.with, "with", "", "put the figures of an earlier run, a JSON file, beside those of this one")
	set.BoolVar(&f.keep, "keep", false, "keep the logs")
	_ = set.Parse(os.Args[1:])     // exits on error
	klog.SetLogger(logr.Discard()) // client-go tells of an API server that is killed
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	sound, err := run(ctx, f)
	restore()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	if err != nil || !sound {
		os.Exit(1)
	}
}

// run tells whether nothing was wrong with this project's sidecar.
func run(ctx context.Context, f flags) (sound bool, err error) {
	say := func(message string) { fmt.Println(message) }
	s, err := stage.Open(ctx, stage.Options{Progress: say})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.End(f.keep, say)) }()
	all, err := f.play(ctx, s, say)
	return all.Judge() == nil, errors.Join(err, f.report(all))
}

// play runs the test with each of the programs.
func (f flags) play(ctx context.Context, s *stage.Stage, say func(string)) (chaos.All, error) {
	options := chaos.Options{Seed: f.seed, Rounds: f.rounds, Duration: f.duration, Lanes: f.lanes, Progress: say}
	var runs []chaos.Options
	if f.program != "" {
		own := options
		own.Program, own.Volumes, own.Prefix = chaos.Own(f.program, f.programFlags...), f.volumes, "own"
		runs = append(runs, own)
	}
	if len(f.peers) == 2 {
		peers := options
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

// report prints the table, and writes it to the file.
func (f flags) report(all chaos.All) error {
	if f.with != "" {
		var earlier chaos.All
		if err := figures.Read(f.with, &earlier); err != nil {
			return err
		}
		all = append(all, earlier...)
	}
	fmt.Printf("\n%s\n", all.Table())
	return figures.Write(f.out, all)
}
