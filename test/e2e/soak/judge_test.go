package soak

import (
	"strings"
	"testing"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
)

// history makes samples of something that is changed with time, from 0 to 1.
func history(change func(s *Sample, time float64)) *Result {
	const samples = 100
	r := &Result{}
	for n := range samples {
		s := Sample{Process: figures.Process{Resident: 50 * figures.Mebibyte, Heap: 20 * figures.Mebibyte, Goroutines: 200, Descriptors: 20}}
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
				s.Heap, s.Goroutines, s.Descriptors = 2*s.Heap, 3*s.Goroutines, 3*s.Descriptors
			}
		}, ""},
		"shrinks":          {func(s *Sample, time float64) { s.Heap *= 2 - time }, ""},
		"memory leaks":     {func(s *Sample, time float64) { s.Resident *= 1 + time }, "resident memory has increased from 68.5 to 93.5 MiB"},
		"heap leaks":       {func(s *Sample, time float64) { s.Heap *= 1 + time }, "heap in use has increased"},
		"goroutines leak":  {func(s *Sample, time float64) { s.Goroutines += 100 * time }, "goroutines has increased from"},
		"descriptors leak": {func(s *Sample, time float64) { s.Descriptors += 20 * time }, "file descriptors has increased"},
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
