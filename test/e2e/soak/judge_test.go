package soak

import (
	"strings"
	"testing"
)

// history makes samples of something that is changed with time, from 0 to 1.
func history(change func(s *Sample, time float64)) *Result {
	const samples = 100
	r := &Result{}
	for n := range samples {
		s := Sample{Resident: 50 * mebibyte, Heap: 20 * mebibyte, Goroutines: 200, FDs: 20}
		change(&s, float64(n)/samples)
		r.Samples = append(r.Samples, s)
	}
	return r
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Sample, float64)
		says   string
	}{
		"flat": {func(*Sample, float64) {}, ""},
		"warms up": {func(s *Sample, time float64) {
			if time < 0.25 {
				s.Resident, s.Goroutines = s.Resident/2, 50
			}
		}, ""},
		"varies": {func(s *Sample, time float64) {
			if int(100*time)%10 == 0 {
				s.Heap, s.Goroutines, s.FDs = 2*s.Heap, 3*s.Goroutines, 3*s.FDs
			}
		}, ""},
		"shrinks":          {func(s *Sample, time float64) { s.Heap *= 2 - time }, ""},
		"memory leaks":     {func(s *Sample, time float64) { s.Resident *= 1 + time }, "resident memory has grown from 68.5 to 93.5 MiB"},
		"heap leaks":       {func(s *Sample, time float64) { s.Heap *= 1 + time }, "heap in use has grown"},
		"goroutines leak":  {func(s *Sample, time float64) { s.Goroutines += 100 * time }, "goroutines has grown from"},
		"descriptors leak": {func(s *Sample, time float64) { s.FDs += 20 * time }, "file descriptors has grown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := history(c.change)
			err := r.Judge()
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("the verdict is %v, want %q\n%s", err, c.says, r.Table())
			}
		})
	}
	few := &Result{Samples: history(func(*Sample, float64) {}).Samples[:19]}
	if err := few.Judge(); err == nil {
		t.Error("a handful of samples are enough")
	}
}
