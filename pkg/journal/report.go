package journal

import (
	"context"
	"errors"
	"fmt"
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

// reportKept tells of records that are kept since this time.
func (j *Journal) reportKept(ctx context.Context, news []*KeptError) {
	for _, kind := range []struct {
		is   error
		says string
	}{
		{ErrUnreadable, "the journal has records that this program can't read, and keeps: a volume may exist without a PersistentVolume"},
		{ErrSetAside, "the journal has records that are not acted upon, and kept: a volume may exist without a PersistentVolume, or somebody has tried to have one deleted"},
	} {
		var all []error
		for _, kept := range news {
			if errors.Is(kept, kind.is) {
				all = append(all, kept)
			}
		}
		if len(all) > 0 {
			j.options.Report(ctx, fmt.Errorf("%s; csi-provisioner audit shows them, and confirms or discards them: %w", kind.says, some(all)))
		}
	}
}

// mostReported is how many records are named at one time.
const mostReported = 10

// some joins errors, but not so many that nobody would read them.
func some(all []error) error {
	if rest := len(all) - mostReported; rest > 0 {
		all = append(all[:mostReported:mostReported], fmt.Errorf("and %d more", rest))
	}
	return errors.Join(all...)
}

// Count returns the number of intents in a state.
func (j *Journal) Count(state State) int {
	switch state {
	case Unreadable:
		return j.countKept(ErrUnreadable)
	case SetAside:
		return j.countKept(ErrSetAside)
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
