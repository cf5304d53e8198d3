package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// unmount unmounts everything below dir. Mount points are taken in the reverse
// of the order in which they were mounted, so that one that covers another, or
// lies in another, goes first.
func unmount(dir string) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("reading mounts: %w", err)
	}
	points := mountPoints(string(table), dir)
	slices.Reverse(points)
	var failed []error
	for _, point := range points {
		if err := unmountPoint(point); err != nil {
			failed = append(failed, fmt.Errorf("unmounting %q: %w", point, err))
		}
	}
	return errors.Join(failed...)
}

// unmountPoint unmounts what is mounted at point, if anything is. A file system
// that somebody still uses, say a shell in that directory, leaves the tree at
// once and ends when it is left.
func unmountPoint(point string) error {
	err := unix.Unmount(point, unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EBUSY) {
		err = unix.Unmount(point, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
	}
	if errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// mountPoints returns the mount points below dir, in the order of the table,
// which has the format of /proc/PID/mountinfo (proc(5)).
func mountPoints(table, dir string) []string {
	const pointField = 4
	var points []string
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) <= pointField {
			continue
		}
		if point := unescape(fields[pointField]); below(point, dir) {
			points = append(points, point)
		}
	}
	return points
}

// unescape undoes the kernel's octal escapes: a space is \040.
func unescape(field string) string {
	var b strings.Builder
	for i := 0; i < len(field); i++ {
		if field[i] == '\\' && i+3 < len(field) {
			if char, err := strconv.ParseUint(field[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(char))
				i += 3
				continue
			}
		}
		b.WriteByte(field[i])
	}
	return b.String()
}

// detachLoops detaches the loop devices whose backing files lie below dir. The
// kernel detaches a device that is still in use as soon as it no longer is, so
// the files' space comes back even then.
func detachLoops(dir string) error {
	attached, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return fmt.Errorf("listing loop devices: %w", err)
	}
	var failed []error
	for _, attribute := range attached {
		file, err := os.ReadFile(attribute)
		if err != nil {
			continue // detached meanwhile
		}
		if !below(backingFile(string(file)), dir) {
			continue
		}
		device := filepath.Base(filepath.Dir(filepath.Dir(attribute)))
		if err := detach(filepath.Join("/dev", device)); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// backingFile reads the kernel's attribute of that name, which tells a file
// that was removed by a suffix.
func backingFile(attribute string) string {
	return strings.TrimSuffix(strings.TrimSuffix(attribute, "\n"), " (deleted)")
}

func detach(device string) error {
	file, err := os.Open(device)
	if err != nil {
		return fmt.Errorf("detaching a loop device: %w", err)
	}
	defer file.Close()
	if err := unix.IoctlSetInt(int(file.Fd()), unix.LOOP_CLR_FD, 0); err != nil && !errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("detaching %s: %w", device, err)
	}
	return nil
}
