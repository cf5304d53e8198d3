package price

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// CPU is processor time.
type CPU struct{ Sidecar, API time.Duration }

func (c CPU) minus(other CPU) CPU {
	return CPU{Sidecar: c.Sidecar - other.Sidecar, API: c.API - other.API}
}

func (c CPU) total() float64 { return (c.Sidecar + c.API).Seconds() }

// cpu looks at what the processes have taken so far.
func (b *bench) cpu() (c CPU, err error) {
	if c.Sidecar, err = spent(b.sidecar.Pid()); err != nil {
		return c, err
	}
	c.API, err = spent(b.api.Process().Pid())
	return c, err
}

// tick is the unit of the processor times in /proc/PID/stat, which is the same on all
// machines that Linux runs on today.
const tick = 10 * time.Millisecond

// spent is the processor time of a process.
func spent(pid int) (time.Duration, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the processor time of process %d: %w", pid, err)
	}
	return parseSpent(string(content))
}

// parseSpent reads the times in user and kernel mode. The name, in brackets, may hold
// anything.
func parseSpent(stat string) (time.Duration, error) {
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
