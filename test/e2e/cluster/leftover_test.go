package cluster_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// burden gives a cluster what a driver that was killed leaves: a mount in a
// mount, and a loop device. It returns the device, or nothing without root.
func burden(t *testing.T, dir string) (device string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Log("without root there are no mounts and loop devices to leave behind")
		return ""
	}
	outer := filepath.Join(dir, "a mount")
	for _, point := range []string{outer, filepath.Join(outer, "inner")} {
		if err := os.Mkdir(point, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", point, "tmpfs", 0, ""); err != nil {
			t.Fatalf("mounting %s: %v", point, err)
		}
	}
	image := filepath.Join(dir, "disk")
	if err := os.WriteFile(image, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command("losetup", "--find", "--show", image).Output()
	if err != nil {
		t.Logf("there is no loop device to leave behind: %v", err)
		return ""
	}
	return strings.TrimSpace(string(output))
}

// leftover returns an error that names something of a cluster that is still
// there.
func leftover(dir, device string) error {
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return err
	}
	for _, file := range environments {
		if environment, err := os.ReadFile(file); err == nil && strings.Contains(string(environment), dir) {
			return fmt.Errorf("process %s is left", filepath.Base(filepath.Dir(file)))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	if strings.Contains(string(mounts), dir) {
		return fmt.Errorf("a mount below %s is left", dir)
	}
	if device != "" {
		backing := filepath.Join("/sys/block", filepath.Base(device), "loop/backing_file")
		if file, err := os.ReadFile(backing); err == nil && strings.HasPrefix(string(file), dir) {
			return fmt.Errorf("%s is left attached", device)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		return fmt.Errorf("the directory %s is left", dir)
	}
	return nil
}

// machine is what a kubelet changes outside of its directory: the kernel's
// settings, and paths that are there or not.
func machine(t *testing.T) []string {
	t.Helper()
	var state []string
	for _, setting := range []string{"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"} {
		value, err := os.ReadFile(filepath.Join("/proc/sys", setting))
		if err != nil {
			t.Fatal(err)
		}
		state = append(state, fmt.Sprintf("%s is %s", setting, strings.TrimSpace(string(value))))
	}
	for _, path := range []string{"/var/lib/kubelet/device-plugins", "/var/log/containers", "/usr/libexec/kubernetes"} {
		_, err := os.Lstat(path)
		state = append(state, fmt.Sprintf("%s is there: %t", path, err == nil))
	}
	return state
}
