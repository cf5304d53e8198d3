package controller

import (
	"math"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	none, half := func() float64 { return 0 }, func() float64 { return 0.5 }
	most := func() float64 { return math.Nextafter(1, 0) }
	seconds := func(s ...float64) []float64 { return s }
	for name, test := range map[string]struct {
		start, max time.Duration
		jitter     func() float64
		want       []float64 // in seconds
	}{
		"doubles":                    {time.Second, time.Minute, none, seconds(1, 2, 4, 8, 16, 32, 60, 60)},
		"max is a power":             {time.Second, 4 * time.Second, none, seconds(1, 2, 4, 4, 4)},
		"max is the start":           {time.Second, time.Second, none, seconds(1, 1, 1)},
		"start above the max":        {2 * time.Second, time.Second, none, seconds(1, 1)},
		"jitter takes a part off":    {time.Second, 4 * time.Second, half, seconds(0.95, 1.9, 3.8, 3.8)},
		"jitter takes up to a tenth": {10 * time.Second, time.Minute, most, seconds(9, 18)},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackoff[string](test.start, test.max, test.jitter)
			for failures, want := range test.want {
				if n := b.NumRequeues("k"); n != failures {
					t.Errorf("NumRequeues = %d after %d failures", n, failures)
				}
				if got := b.When("k").Seconds(); math.Abs(got-want) > 1e-6 {
					t.Errorf("after %d failures: %v s, want %v s", failures, got, want)
				}
			}
		})
	}
}

// Nothing overflows, however long the max and the row of failures.
func TestBackoffOfManyFailures(t *testing.T) {
	b := newBackoff[string](time.Nanosecond, time.Duration(math.MaxInt64), func() float64 { return 0 })
	last := time.Duration(0)
	for i := range 1000 {
		delay := b.When("k")
		if delay < last {
			t.Fatalf("failure %d: %s is shorter than the %s before", i, delay, last)
		}
		last = delay
	}
}

func TestBackoffForget(t *testing.T) {
	b := newBackoff[string](time.Second, time.Minute, func() float64 { return 0 })
	b.When("a")
	b.When("a")
	b.When("b")
	b.Forget("a")
	b.Forget("unknown")
	if n := b.NumRequeues("a"); n != 0 {
		t.Errorf("%d failures after Forget", n)
	}
	if delay := b.When("a"); delay != time.Second {
		t.Errorf("%s after Forget", delay)
	}
	if delay := b.When("b"); delay != 2*time.Second {
		t.Errorf("Forget of another key changed the delay to %s", delay)
	}
	b.Forget("a")
	b.Forget("b")
	if len(b.failures) != 0 {
		t.Errorf("%v is left behind", b.failures)
	}
}
