package controller

import (
	"sync"
	"time"
)

// backoff is the delay between the failures of one key. It implements
// workqueue.TypedRateLimiter.
type backoff[K comparable] struct {
	start, max time.Duration
	// jitter returns a number in [0, 1).
	jitter func() float64

	mu       sync.Mutex
	failures map[K]int
}

// jitterShare is the part of a delay that is random, so that keys that failed
// together don't retry together.
const jitterShare = 0.1

func newBackoff[K comparable](start, limit time.Duration, jitter func() float64) *backoff[K] {
	return &backoff[K]{start: start, max: limit, jitter: jitter, failures: map[K]int{}}
}

// When counts a failure and returns the delay before the next try: start,
// doubled with each failure, at most max, less up to a tenth of it.
func (b *backoff[K]) When(key K) time.Duration {
	b.mu.Lock()
	failures := b.failures[key]
	b.failures[key] = failures + 1
	b.mu.Unlock()

	delay := b.start
	for ; failures > 0 && delay <= b.max/2; failures-- {
		delay *= 2
	}
	if failures > 0 {
		delay = b.max // The next doubling would be more, or overflow.
	}
	delay = min(delay, b.max)
	return delay - time.Duration(float64(delay)*jitterShare*b.jitter())
}

// Forget ends the count of failures of a key.
func (b *backoff[K]) Forget(key K) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.failures, key)
}

// NumRequeues returns the number of failures since the last Forget.
func (b *backoff[K]) NumRequeues(key K) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures[key]
}
