package bench

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// Machine is what was measured on.
type Machine struct {
	CPU    string
	Cores  int
	Memory int64 // in bytes
	Kernel string
	Go     string
}

// ThisMachine describes this one.
func ThisMachine() (Machine, error) {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), CPU: runtime.GOARCH}
	cpus, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m, fmt.Errorf("describing the machine: %w", err)
	}
	if match := regexp.MustCompile(`(?m)^model name\s*:\s*(.+)$`).FindSubmatch(cpus); match != nil {
		m.CPU = string(match[1])
	}
	memory, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return m, fmt.Errorf("describing the machine: %w", err)
	}
	if match := regexp.MustCompile(`(?m)^MemTotal:\s+(\d+) kB`).FindSubmatch(memory); match != nil {
		kibibytes, err := strconv.ParseInt(string(match[1]), 10, 64)
		if err != nil {
			return m, fmt.Errorf("describing the machine: %w", err)
		}
		m.Memory = kibibytes << 10
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return m, fmt.Errorf("describing the machine: %w", err)
	}
	m.Kernel = strings.TrimSpace(string(kernel))
	return m, nil
}

func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %.0f GB of memory, Linux %s, %s", m.CPU, m.Cores, float64(m.Memory)/1e9, m.Kernel, m.Go)
}
