package journal

import (
	"context"
	"time"
)

// reportEvery is the time after which a problem that lasts is told again.
const reportEvery = time.Minute

// report tells of a problem, or with nil that there is none any more, but not
// again and again.
func (j *Journal) report(ctx context.Context, err error) {
	if j.news(err) {
		j.options.Report(ctx, err)
	}
}

func (j *Journal) news(err error) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.options.Clock.Now()
	if err == nil {
		over := !j.reported.IsZero()
		j.reported = time.Time{}
		return over
	}
	if !j.reported.IsZero() && now.Sub(j.reported) < reportEvery {
		return false
	}
	j.reported = now
	return true
}

// Count returns the number of intents in a state.
func (j *Journal) Count(state State) int {
	switch state {
	case Unreadable:
		return len(j.Unreadable())
	case SetAside:
		return len(j.SetAside())
	default:
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, r := range j.records {
		if r.state == state {
			n++
		}
	}
	return n
}

// Oldest returns for how long this process has known the oldest intent that has
// not ended; 0 without one.
func (j *Journal) Oldest() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	var oldest time.Duration
	now := j.options.Clock.Now()
	for _, r := range j.records {
		if r.state != Ended {
			oldest = max(oldest, now.Sub(r.since))
		}
	}
	return oldest
}
