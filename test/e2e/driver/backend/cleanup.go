package backend

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Cleanup unmounts whatever is mounted from the data directory or from a loop
// device that is backed by a file in it, and detaches those devices. The data
// stays. It goes by what the kernel has, not by the driver's state, so that it
// also finds what an interrupted driver or a kubelet left behind, even when the
// directory is gone.
func Cleanup(dir string) error {
	dir, err := absolute(dir)
	if err != nil {
		return err
	}
	ours, stacked, err := devicesOf(dir)
	if err != nil {
		return err
	}
	all, err := mounts()
	if err != nil {
		return err
	}
	at := locate(dir, all)
	var failures []error
	for i := len(all) - 1; i >= 0; i-- {
		if at.holds(all[i]) || ours[all[i].source] || ours[deviceNode(all[i])] {
			failures = append(failures, unmountNow(all[i].point))
		}
	}
	// A device on a device goes first: it holds the other.
	for _, device := range stacked {
		failures = append(failures, control(device, "detaching", unix.LOOP_CLR_FD))
	}
	for device := range ours {
		failures = append(failures, control(device, "detaching", unix.LOOP_CLR_FD))
	}
	return errors.Join(failures...)
}

// devicesOf returns the loop devices that files in the directory back, and
// those that these devices back, as the kubelet makes for block volumes.
func devicesOf(dir string) (ours map[string]bool, stacked []string, err error) {
	devices, err := attached()
	if err != nil {
		return nil, nil, err
	}
	ours = map[string]bool{}
	numbers := map[uint64]bool{}
	for device, backing := range devices {
		if !strings.HasPrefix(backing, dir+"/") {
			continue
		}
		ours[device] = true
		var stat unix.Stat_t
		if unix.Stat(device, &stat) == nil {
			numbers[stat.Rdev] = true
		}
	}
	for device := range devices {
		if !ours[device] && numbers[backingDevice(device)] {
			stacked = append(stacked, device)
		}
	}
	return ours, stacked, nil
}

// backingDevice returns the number of the device that backs a loop device, or
// zero.
func backingDevice(device string) uint64 {
	loop, err := os.Open(device)
	if err != nil {
		return 0
	}
	defer func() { _ = loop.Close() }()
	info, err := unix.IoctlLoopGetStatus64(int(loop.Fd()))
	if err != nil {
		return 0
	}
	return info.Rdevice
}

// deviceNode is the device whose node is bind mounted there, or "".
func deviceNode(m mount) string {
	if m.fsType != "devtmpfs" || !strings.HasPrefix(m.root, "/loop") {
		return ""
	}
	return "/dev" + m.root
}

// A place is a directory as the kernel knows it: what of which file system.
type place struct{ device, root string }

// locate finds the place of a directory.
func locate(dir string, all []mount) place {
	var best mount
	for _, m := range all {
		within := m.point == "/" || dir == m.point || strings.HasPrefix(dir, m.point+"/")
		if within && len(m.point) >= len(best.point) {
			best = m
		}
	}
	inside := strings.TrimPrefix(dir, best.point)
	return place{device: best.device, root: filepath.Join(best.root, inside)}
}

// holds says whether a mount shows something in the place.
func (p place) holds(m mount) bool {
	return m.device == p.device && strings.HasPrefix(m.root, p.root+"/")
}

// unmountNow takes a mount away even while it is used.
func unmountNow(point string) error {
	err := unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmounting %s: %w", point, err)
	}
	return nil
}
