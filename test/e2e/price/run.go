package price

import (
	"context"
	"fmt"
	"slices"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// Options of a measurement.
type Options struct {
	// Claims is the number of claims in the burst.
	Claims int
	// Lone is the number of claims that come alone, one after the other.
	Lone int
	// Pairs is how often both modes are measured.
	Pairs int
	// Flags are further ones of the sidecar.
	Flags []string
	// KeepLogs keeps the logs of each cluster; after a failure they are kept anyway.
	KeepLogs bool
	// Progress is told what happens.
	Progress func(message string)
}

// The modes that are compared.
const (
	on  = "required"
	off = "off"
)

// Run measures both modes in turns. Which one comes first changes with each pair, so
// that what changes slowly on the machine hits both alike.
func Run(ctx context.Context, options Options) (*Figures, error) {
	figures := &Figures{Options: options}
	for n := range options.Pairs {
		modes := []string{on, off}
		if n%2 == 1 {
			slices.Reverse(modes)
		}
		samples := map[string]Sample{}
		for _, mode := range modes {
			sample, err := measure(ctx, mode, options)
			if err != nil {
				return figures, fmt.Errorf("measuring with --provisioning-journal=%s: %w", mode, err)
			}
			samples[mode] = sample
			options.Progress(fmt.Sprintf("pair %d, journal %-8s  %s", n+1, mode, sample))
		}
		figures.Pairs = append(figures.Pairs, Pair{On: samples[on], Off: samples[off]})
	}
	return figures, nil
}

// measure takes one sample on a new cluster.
func measure(ctx context.Context, mode string, options Options) (sample Sample, err error) {
	logs := stage.Logs{Keep: options.KeepLogs, Tell: options.Progress}
	err = stage.With(ctx, stage.Options{Bare: true}, logs, func(s *stage.Stage) (err error) {
		sample, err = measureOn(ctx, s, mode, options)
		return err
	})
	return sample, err
}

// measureOn takes one sample.
func measureOn(ctx context.Context, s *stage.Stage, mode string, options Options) (sample Sample, err error) {
	b, err := newBench(ctx, s, mode, options)
	if err != nil {
		return Sample{}, err
	}
	lone, trips, err := b.alone(ctx)
	if err != nil {
		return Sample{}, err
	}
	sample, err = b.burst(ctx)
	sample.Lone, sample.RoundTrip = lone, trips
	return sample, err
}
