package soak

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// Sample is how big the process is at one moment.
type Sample struct {
	At time.Duration
	// Resident is the memory that the process has, Heap what of it the program
	// uses, in bytes.
	Resident, Heap  float64
	Goroutines, FDs float64
}

func (s Sample) String() string {
	return fmt.Sprintf("%.1f MiB, %.1f MiB in use, %.0f goroutines, %.0f file descriptors", s.Resident/mebibyte, s.Heap/mebibyte, s.Goroutines, s.FDs)
}

const mebibyte = 1 << 20

// take looks at a process: from outside, as far as that is possible, and by its
// metrics.
func take(sidecar *stage.Sidecar) (Sample, error) {
	process := fmt.Sprintf("/proc/%d/", sidecar.Pid())
	status, err := os.ReadFile(process + "status")
	if err != nil {
		return Sample{}, fmt.Errorf("looking at the sidecar: %w", err)
	}
	files, err := os.ReadDir(process + "fd")
	if err != nil {
		return Sample{}, fmt.Errorf("looking at the sidecar: %w", err)
	}
	_, metrics, err := sidecar.Get("/metrics")
	if err != nil {
		return Sample{}, fmt.Errorf("looking at the sidecar: %w", err)
	}
	sample := Sample{FDs: float64(len(files))}
	for _, value := range []struct {
		of   *float64
		in   string
		name string
		unit float64
	}{
		{&sample.Resident, string(status), `VmRSS:\s+`, 1 << 10},
		{&sample.Heap, metrics, `go_memstats_heap_alloc_bytes `, 1},
		{&sample.Goroutines, metrics, `go_goroutines `, 1},
	} {
		match := regexp.MustCompile(`(?m)^` + value.name + `(\S+)`).FindStringSubmatch(value.in)
		if match == nil {
			return Sample{}, fmt.Errorf("looking at the sidecar: there is no %q", value.name)
		}
		number, err := strconv.ParseFloat(match[1], 64)
		if err != nil {
			return Sample{}, fmt.Errorf("looking at the sidecar: %w", err)
		}
		*value.of = number * value.unit
	}
	return sample, nil
}
