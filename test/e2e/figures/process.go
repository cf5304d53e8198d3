package figures

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Process is the size of a process at one moment.
type Process struct {
	// Resident is the memory that the process has, Heap the part of it that the program
	// uses, in bytes.
	Resident, Heap float64
	Goroutines     float64
	// Descriptors are its open files and connections.
	Descriptors float64
}

func (p Process) String() string {
	return fmt.Sprintf("%.1f MiB resident, %.1f MiB of heap, %.0f goroutines, %.0f file descriptors", p.Resident/Mebibyte, p.Heap/Mebibyte, p.Goroutines, p.Descriptors)
}

// MeasureProcess measures a process by what Linux keeps of it, and by its metrics.
func MeasureProcess(pid int, metrics string) (p Process, err error) {
	for _, figure := range []struct {
		of   *float64
		read func() (float64, error)
	}{
		{&p.Resident, func() (float64, error) { return resident(pid) }},
		{&p.Descriptors, func() (float64, error) { return descriptors(pid) }},
		{&p.Heap, func() (float64, error) { return Gauge(metrics, "go_memstats_heap_alloc_bytes") }},
		{&p.Goroutines, func() (float64, error) { return Gauge(metrics, "go_goroutines") }},
	} {
		if *figure.of, err = figure.read(); err != nil {
			return p, fmt.Errorf("measuring process %d: %w", pid, err)
		}
	}
	return p, nil
}

func descriptors(pid int) (float64, error) {
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return float64(len(files)), err
}

func resident(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseResident(string(status))
}

// parseResident reads the resident memory from a text as in /proc/PID/status, where it
// is in kibibytes.
func parseResident(status string) (float64, error) {
	const kibibyte = 1 << 10
	match := regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB`).FindStringSubmatch(status)
	if match == nil {
		return 0, fmt.Errorf("the status has no resident memory")
	}
	size, err := strconv.ParseFloat(match[1], 64)
	return size * kibibyte, err
}

// tick is the unit of the processor times in /proc/PID/stat, which is the same on all
// machines that Linux runs on today.
const tick = 10 * time.Millisecond

// CPU returns the processor time that a process has used so far.
func CPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the processor time of process %d: %w", pid, err)
	}
	return parseCPU(string(stat))
}

// parseCPU adds up the times in user and kernel mode. The name, in brackets, may hold
// anything.
func parseCPU(stat string) (time.Duration, error) {
	const user, system = 11, 12 // counted from after the name
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) <= system {
		return 0, fmt.Errorf("reading the processor time: %q has too few fields", stat)
	}
	var sum time.Duration
	for _, field := range []string{fields[user], fields[system]} {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading the processor time: %w", err)
		}
		sum += time.Duration(ticks) * tick
	}
	return sum, nil
}
