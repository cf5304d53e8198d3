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

// Memory is what a process has of it, in bytes.
type Memory struct {
	// Resident is what it has now, Peak the most that it ever had.
	Resident, Peak float64
}

// MeasureMemory measures a process by what Linux keeps of it.
func MeasureMemory(pid int) (Memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	return parseMemory(string(status))
}

func resident(pid int) (float64, error) {
	memory, err := MeasureMemory(pid)
	return memory.Resident, err
}

// parseMemory reads the memory from a text as in /proc/PID/status, where it is in
// kibibytes.
func parseMemory(status string) (m Memory, err error) {
	const kibibyte = 1 << 10
	for key, value := range map[string]*float64{"VmRSS": &m.Resident, "VmHWM": &m.Peak} {
		match := regexp.MustCompile(`(?m)^` + key + `:\s+(\d+) kB`).FindStringSubmatch(status)
		if match == nil {
			return m, fmt.Errorf("the status has no %s", key)
		}
		size, err := strconv.ParseFloat(match[1], 64)
		if err != nil {
			return m, fmt.Errorf("reading %s: %w", key, err)
		}
		*value = size * kibibyte
	}
	return m, nil
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
