package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// Options of a run.
type Options struct {
	Program Program
	Seed    uint64
	// Volumes is how many the driver makes, at least; Rounds and Duration end the run,
	// too, where they are not 0.
	Volumes  int
	Rounds   int
	Duration time.Duration
	// Lanes is the number of rounds at one time.
	Lanes int
	// Prefix begins the names of all that is made: two runs on one cluster have
	// different ones.
	Prefix string
	// Progress is told what happens.
	Progress func(message string)
}

// Run plays rounds until there have been enough, or the context ends, which is no
// error. The figures are those of the rounds that were played to their end.
func Run(ctx context.Context, s *stage.Stage, options Options) (*Figures, error) {
	r := &run{
		options: options,
		figures: &Figures{Program: options.Program.Name, Seed: options.Seed},
		begin:   time.Now(),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var turn sync.Mutex
	var lanes sync.WaitGroup
	errs := make([]error, options.Lanes)
	for n := range options.Lanes {
		lanes.Go(func() {
			id := fmt.Sprintf("%s%d", options.Prefix, n)
			if errs[n] = r.lane(ctx, s, id, &turn); errs[n] != nil {
				cancel()
			}
		})
	}
	lanes.Wait()
	r.figures.Took = time.Since(r.begin)
	return r.figures, errors.Join(errs...)
}

type run struct {
	options Options
	begin   time.Time

	mu      sync.Mutex
	next    int // round
	asked   int // in all rounds that have begun
	figures *Figures
}

// lane plays one round after the other.
func (r *run) lane(ctx context.Context, s *stage.Stage, id string, turn *sync.Mutex) error {
	l, err := newLane(ctx, s, r.options.Program, id, turn)
	for err == nil && ctx.Err() == nil {
		plan, more := r.plan()
		if !more {
			break
		}
		var result Result
		if result, err = l.play(ctx, plan); err == nil {
			r.note(result)
		}
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // whoever ended the context knows why
	}
	return err
}

// hopeless is how many volumes are asked for each that is to be made, at most.
const hopeless = 10

// plan returns the next round, if there is to be one.
func (r *run) plan() (Plan, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.options
	// Claims that are deleted before their volume is made don't count; but a program
	// that makes none has no more chances.
	enough := r.figures.Made >= o.Volumes || r.asked >= hopeless*o.Volumes
	if enough || o.Rounds > 0 && r.next >= o.Rounds || o.Duration > 0 && time.Since(r.begin) > o.Duration {
		return Plan{}, false
	}
	plan := NewPlan(o.Seed, r.next, o.Program.Failpoints)
	r.next++
	r.asked += len(plan.Claims)
	return plan, true
}

// note counts a round, and tells of it.
func (r *run) note(result Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.figures.Add(result)
	r.options.Progress(fmt.Sprintf("%6.0fs  %5d volumes, %4d kills; %s", time.Since(r.begin).Seconds(), r.figures.Made, r.figures.Kills(), summary(result)))
	for _, breach := range result.Breaches {
		r.options.Progress("         " + breach.String())
	}
}
