package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
)

// Options of a measurement.
type Options struct {
	// Bin is the directory of the programs.
	Bin string
	// Rows are the names of those to measure; none means all.
	Rows []string
	// Rounds is how often each contender is measured, in turn.
	Rounds int
	// Quick measures next to nothing, to see that all works.
	Quick bool
	// Only are the names of the contenders to measure; none means all.
	Only []string
	// Baseline is the path of another program of this project, to measure it, too.
	Baseline string
	// Flags are further ones of this project's program.
	Flags []string
	// KeepLogs keeps the logs of each cluster; after a failure they are kept anyway.
	KeepLogs bool
	// Progress is told what happens.
	Progress func(message string)
}

// Names returns those of all rows.
func Names() []string {
	var all []string
	for _, r := range rows(quickScale()) {
		all = append(all, r.name)
	}
	return all
}

// pick returns the rows that are asked for.
func (o Options) pick() ([]row, error) {
	for _, name := range o.Rows {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("there is no row %q: want some of %s", name, strings.Join(Names(), ", "))
		}
	}
	return slices.DeleteFunc(rows(o.scale()), func(r row) bool {
		return len(o.Rows) > 0 && !slices.Contains(o.Rows, r.name)
	}), nil
}

func (o Options) scale() scale {
	if o.Quick {
		return quickScale()
	}
	return fullScale()
}

// Run measures the rows, and has each told as soon as it is complete.
func Run(ctx context.Context, options Options, complete func(Result) error) error {
	picked, err := options.pick()
	if err != nil {
		return err
	}
	for _, r := range picked {
		result, err := options.measure(ctx, r)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", r.name, err)
		}
		if err := complete(result); err != nil {
			return err
		}
	}
	return nil
}

// measure measures a row, on a scene of its own if it needs one.
func (o Options) measure(ctx context.Context, r row) (Result, error) {
	result := Result{Row: r.name, Date: time.Now().UTC().Format(time.DateOnly), Rounds: o.Rounds}
	var contending []contender
	for _, c := range append(contenders(o.Bin, r.duty, r.flags...), o.baseline(r)...) {
		if len(o.Only) > 0 && !slices.Contains(o.Only, c.name) {
			continue
		}
		if c.name == Own {
			c.programs[0].flags = slices.Concat(c.programs[0].flags, o.Flags)
		}
		if err := c.check(); err != nil {
			return result, err
		}
		contending = append(contending, c)
	}
	if r.prepare == nil {
		err := o.steps(ctx, r, nil, contending, &result)
		return result, err
	}
	err := onScene(ctx, o, func(s *scene) error { return o.steps(ctx, r, s, contending, &result) })
	return result, err
}

// baseline returns the further contender, if there is one.
func (o Options) baseline(r row) []contender {
	if o.Baseline == "" {
		return nil
	}
	return []contender{{name: Baseline, programs: []program{{o.Baseline, r.flags}}}}
}

func (o Options) steps(ctx context.Context, r row, s *scene, contending []contender, result *Result) error {
	for _, step := range r.steps {
		if s != nil {
			o.Progress(fmt.Sprintf("%-8s preparing %d %s", r.name, step.size, step.title))
			if err := r.prepare(ctx, s, step.size); err != nil {
				return err
			}
		}
		measured := Step{Size: step.size, Title: step.title, Samples: map[string][]sample{}}
		for round := range o.Rounds {
			if err := o.round(ctx, r, s, contending, step, round, &measured); err != nil {
				return err
			}
		}
		result.Steps = append(result.Steps, measured)
	}
	return nil
}

// round measures each contender once. Which one comes first changes with each round, so
// that what changes slowly on the machine hits all alike.
func (o Options) round(ctx context.Context, r row, s *scene, contending []contender, at step, n int, into *Step) error {
	order := slices.Clone(contending)
	if n%2 == 1 {
		slices.Reverse(order)
	}
	var yardstick float64
	if r.yardstick != nil {
		s.turn++
		var err error
		if yardstick, err = r.yardstick(ctx, s); err != nil {
			return fmt.Errorf("measuring bare requests: %w", err)
		}
	}
	for _, c := range order {
		m := sample{bareRate: yardstick}
		if s != nil {
			s.turn++
		}
		if err := at.play(ctx, s, c, m); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if r.yardstick == nil {
			delete(m, bareRate)
		}
		into.Samples[c.name] = append(into.Samples[c.name], m)
		o.Progress(fmt.Sprintf("%-8s %6d %-7s  round %d of %d  %-12s  %s", r.name, at.size, at.title, n+1, o.Rounds, c.name, m.describe(r.shows)))
	}
	return nil
}

// describe shows a sample in one line.
func (m sample) describe(measures []measure) string {
	var parts []string
	for _, of := range measures {
		parts = append(parts, string(of)+" "+fmt.Sprintf(of.shown().format, m[of]))
	}
	return strings.Join(parts, ", ")
}

// Result is what came of a row.
type Result struct {
	Row, Date string
	Rounds    int
	Machine   Machine
	Steps     []Step
}

// Step is a row at one size.
type Step struct {
	Size    int
	Title   string
	Samples map[string][]sample // by contender
}

// median returns that of a measure, with the least and the greatest value.
func (s Step) median(contender string, of measure) (median, least, most float64) {
	var values []float64
	for _, m := range s.Samples[contender] {
		values = append(values, m[of])
	}
	if len(values) == 0 {
		return 0, 0, 0
	}
	return figures.Median(values), slices.Min(values), slices.Max(values)
}
