package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// A machine is what a kubelet changes outside of its directory, and cannot be
// kept from, as it was before.
type machine struct {
	settings map[string]string // those that a kubelet would change, by file
	absent   []string          // paths that were not there
}

// kubeletSettings are the kernel's settings that every kubelet makes, by file.
func kubeletSettings() map[string]string {
	return map[string]string{
		"/proc/sys/vm/overcommit_memory":      "1",
		"/proc/sys/vm/panic_on_oom":           "0",
		"/proc/sys/kernel/panic":              "10",
		"/proc/sys/kernel/panic_on_oops":      "1",
		"/proc/sys/kernel/keys/root_maxkeys":  "1000000",
		"/proc/sys/kernel/keys/root_maxbytes": "25000000",
	}
}

// kubeletPaths are those that every kubelet makes, whatever its root directory
// is, each before the directory that it lies in.
func kubeletPaths() []string {
	return []string{
		"/var/lib/kubelet/device-plugins/kubelet.sock",
		"/var/lib/kubelet/device-plugins",
		"/var/lib/kubelet",
		"/var/log/containers",
	}
}

// remember looks at the machine before there is a kubelet. A setting that has
// the kubelet's value already was made so by somebody else, perhaps the kubelet
// of another cluster, whose guard sees to it.
func remember() machine {
	m := machine{settings: map[string]string{}}
	for file, kubelets := range kubeletSettings() {
		if value, err := setting(file); err == nil && value != kubelets {
			m.settings[file] = value
		}
	}
	for _, path := range kubeletPaths() {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			m.absent = append(m.absent, path)
		}
	}
	return m
}

// restore undoes what a kubelet did since. Directories that hold something by
// now stay.
func (m machine) restore() error {
	if os.Geteuid() != 0 {
		return nil // there was no kubelet
	}
	var failed []error
	for file, before := range m.settings {
		now, err := setting(file)
		if err != nil || now != kubeletSettings()[file] {
			continue
		}
		if err := os.WriteFile(file, []byte(before), 0); err != nil {
			failed = append(failed, fmt.Errorf("restoring a setting of the kernel: %w", err))
		}
	}
	for _, path := range m.absent {
		_ = os.Remove(path)
	}
	return errors.Join(failed...)
}

func setting(file string) (string, error) {
	content, err := os.ReadFile(file)
	return strings.TrimSpace(string(content)), err
}
