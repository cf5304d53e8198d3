package driver_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/backend"
)

// guardVariable makes this program the guard of the directory it names.
const guardVariable = "CSI_DRIVER_TEST_GUARD"

// TestMain keeps all temporary files in one directory and sets a guard on it: a
// process that cleans up once this one has ended, also when it is interrupted
// or runs into its timeout. So no mount and no loop device is ever left behind.
func TestMain(m *testing.M) {
	if dir := os.Getenv(guardVariable); dir != "" {
		os.Exit(guard(dir))
	}
	os.Exit(runGuarded(m))
}

func runGuarded(m *testing.M) int {
	code, err := underGuard(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func underGuard(run func() int) (int, error) {
	dir, err := os.MkdirTemp("", "csi")
	if err != nil {
		return 0, fmt.Errorf("making the directory of the tests: %w", err)
	}
	watcher := exec.Command(os.Args[0])
	watcher.Env = append(os.Environ(), guardVariable+"="+dir)
	// The end of this process, whatever it is, closes the pipe.
	life, err := watcher.StdinPipe()
	if err == nil {
		err = watcher.Start()
	}
	if err != nil {
		return 0, fmt.Errorf("starting the guard: %w", err)
	}
	if err := os.Setenv("TMPDIR", dir); err != nil {
		return 0, fmt.Errorf("moving temporary files: %w", err)
	}
	code := run()
	if err := errors.Join(life.Close(), watcher.Wait()); err != nil {
		return 0, fmt.Errorf("cleaning up: %w", err)
	}
	return code, nil
}

// guard waits for the end of the tests and cleans up after them.
func guard(dir string) int {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
	_, _ = io.Copy(io.Discard, os.Stdin) // any end is the end
	// The second time finds what a program that was still running, such as
	// mount, has done meanwhile.
	var err error
	for range 2 {
		err = errors.Join(backend.Cleanup(dir), os.RemoveAll(dir))
	}
	if err != nil {
		return 1
	}
	return 0
}
