package controller

import (
	"sync"
	"time"
)

// Remaining returns what is left of a pause that began at a time; not positive when it is
// over. The time may be by another clock, or this one may have been set: a pause that
// seems to begin later than now begins now, so that it never gets longer.
func Remaining(pause time.Duration, since, now time.Time) time.Duration {
	return pause - max(0, now.Sub(since))
}

// Pauses are pauses of one length that begin at times which objects tell, by any key that
// names the object. A time that is ahead of the clock would begin the pause again with
// each look at it, until the clock has caught up. So it is remembered when such a time
// was first seen, and the pause counts from then.
type Pauses struct {
	length time.Duration

	mu    sync.Mutex
	ahead map[string]sighting
}

// sighting is a time that was ahead of the clock, and when it was first seen.
type sighting struct{ time, first time.Time }

// NewPauses returns pauses of that length.
func NewPauses(length time.Duration) *Pauses {
	return &Pauses{length: length, ahead: map[string]sighting{}}
}

// Left returns what is left of the pause of a key.
func (p *Pauses) Left(key string, since, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !since.After(now) {
		delete(p.ahead, key)
		return Remaining(p.length, since, now)
	}
	seen, ok := p.ahead[key]
	if !ok || !seen.time.Equal(since) || now.Before(seen.first) {
		seen = sighting{since, now}
		p.ahead[key] = seen
	}
	return Remaining(p.length, seen.first, now)
}

// Forget is to be called for a key without a pause.
func (p *Pauses) Forget(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.ahead, key)
}
