package compare

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// longest bounds one scenario.
const longest = 4 * time.Minute

// Options of a run.
type Options struct {
	Programs Programs
	// Rows are the names of the rows of docs/compatibility.md.
	Rows []string
	// Lanes is the number of scenarios at one time (4).
	Lanes int
	// Progress is told of each scenario when it has been played.
	Progress func(Result)
}

// A Result is what came of one scenario.
type Result struct {
	Scenario *Scenario
	// Calls, Objects and Events are how many of the own side were compared.
	Calls, Objects, Events int
	Judgement
	// Own and Peer are the records.
	Own, Peer any
	// Err is why the scenario could not be played.
	Err  error
	Took time.Duration
}

// Sound tells whether the scenario was played and all is as expected.
func (r Result) Sound() bool { return r.Err == nil && r.Judgement.Sound() }

// Run plays scenarios on both sides, several at the same time, and returns the
// results in the order of the scenarios. When the context ends, the results are
// those so far.
func Run(ctx context.Context, s *stage.Stage, scenarios []*Scenario, options Options) ([]Result, error) {
	objects, err := s.Objects()
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(scenarios))
	next := make(chan int)
	var lanes sync.WaitGroup
	var telling sync.Mutex
	for range max(options.Lanes, 1) {
		lanes.Go(func() {
			for n := range next {
				results[n] = playBoth(ctx, s, objects, scenarios[n], n, options)
				if options.Progress != nil {
					telling.Lock()
					options.Progress(results[n])
					telling.Unlock()
				}
			}
		})
	}
	played := 0
	for played < len(scenarios) && ctx.Err() == nil {
		select {
		case next <- played:
			played++
		case <-ctx.Done():
		}
	}
	close(next)
	lanes.Wait()
	return results[:played], nil
}

// playBoth plays a scenario on both sides at the same time.
func playBoth(ctx context.Context, s *stage.Stage, objects *stage.Objects, scenario *Scenario, n int, options Options) Result {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	begin := time.Now()
	own := &side{id: fmt.Sprintf("s%03dself", n), scenario: scenario, stage: s, objects: objects, programs: options.Programs}
	peer := &side{id: fmt.Sprintf("s%03dpeer", n), peer: true, scenario: scenario, stage: s, objects: objects, programs: options.Programs}
	result := Result{Scenario: scenario}
	var errs [2]error
	var both sync.WaitGroup
	both.Go(func() { result.Own, errs[0] = own.play(ctx) })
	both.Go(func() { result.Peer, errs[1] = peer.play(ctx) })
	both.Wait()
	result.Took = time.Since(begin)
	if result.Err = errors.Join(errs[:]...); result.Err != nil {
		return result
	}
	if result.Err = bothInVain(own.steps, peer.steps); result.Err != nil {
		return result
	}
	result.count()
	result.Judgement = Judge(Diff(result.Own, result.Peer), scenario.Differences, options.Rows)
	return result
}

// bothInVain is an error when both sides have waited in vain for something: the
// scenario does not show what it is meant to.
func bothInVain(own, peer map[string]any) error {
	for step, came := range own {
		if came == inVain && peer[step] == inVain {
			return fmt.Errorf("%s: both sides have waited in vain", step)
		}
	}
	return nil
}

// count counts what was compared.
func (r *Result) count() {
	if volumes, ok := at(r.Own, "calls").(map[string]any); ok {
		for _, calls := range volumes {
			r.Calls += len(calls.(map[string]any))
			if at(calls, "order") != nil {
				r.Calls--
			}
		}
	}
	if points, ok := at(r.Own, "objects").(map[string]any); ok {
		for _, objects := range points {
			r.Objects += len(objects.(map[string]any))
		}
	}
	if objects, ok := at(r.Own, "events").(map[string]any); ok {
		for _, reasons := range objects {
			r.Events += len(reasons.(map[string]any))
		}
	}
}
