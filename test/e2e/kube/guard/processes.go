package guard

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// killProcesses kills the cluster's processes. It fails as long as it finds
// one, since a process can start another before it dies, and takes a moment to
// die.
func killProcesses(dir string) error {
	pids, err := processes()
	if err != nil {
		return err
	}
	var found []error
	for _, pid := range pids {
		if err := kill(pid, dir); err != nil {
			found = append(found, err)
		}
	}
	return errors.Join(found...)
}

// processes returns the identifiers of all processes.
func processes() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var pids []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// kill kills the process if it belongs to the cluster in dir; the error says
// that it did. The process is found first and asked whose it is then, so that
// the signal cannot reach another one that got its identifier meanwhile:
// os.FindProcess holds the process itself where the kernel can (pidfd_open).
func kill(pid int, dir string) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil
	}
	defer process.Release()
	// A zombie and a process of another user have no environment to read:
	// neither is ours to end.
	environment, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil || !belongs(environment, dir) {
		return nil
	}
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing process %d: %w", pid, err)
	}
	return fmt.Errorf("process %d is still there", pid)
}

// belongs reports whether an environment, as /proc shows it, is that of a
// process of the cluster in dir.
func belongs(environment []byte, dir string) bool {
	mark := []byte(Variable + "=" + dir)
	for variable := range bytes.SplitSeq(environment, []byte{0}) {
		if bytes.Equal(variable, mark) {
			return true
		}
	}
	return false
}
