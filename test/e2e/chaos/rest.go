package chaos

import (
	"context"
	"slices"
	"time"
)

const (
	// quiet is how long nothing must have changed until what is wrong counts: much
	// longer than programs wait between two tries.
	quiet = 15 * time.Second
	// lookEvery is the time between two looks.
	lookEvery = 250 * time.Millisecond
)

// settle waits until nothing is wrong, or what is wrong stays as it is, and returns
// that. Before each look, tidy may do something about what was seen.
func (l *lane) settle(ctx context.Context, tidy func(context.Context, Observation)) ([]Breach, Observation, error) {
	var last []Breach
	var seen Observation
	since := time.Now()
	for {
		now, err := l.observe(ctx)
		if err == nil {
			seen = now
			breaches := Check(seen)
			if len(breaches) == 0 && !tidied(seen, tidy) {
				return nil, seen, nil
			}
			if !slices.Equal(breaches, last) {
				last, since = breaches, time.Now()
			}
		}
		if time.Since(since) > quiet {
			return last, seen, err
		}
		if tidy != nil && err == nil {
			tidy(ctx, seen)
		}
		if !sleep(ctx, lookEvery) {
			return last, seen, ctx.Err()
		}
	}
}

// tidied tells whether there is something left to tidy up.
func tidied(seen Observation, tidy func(context.Context, Observation)) bool {
	return tidy != nil && len(seen.Claims)+len(seen.PersistentVolumes)+len(seen.Volumes) > 0
}
