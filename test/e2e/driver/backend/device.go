package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// attach gives a file a loop device, or finds the one that it has.
func attach(file string) (string, error) {
	device, err := deviceOf(file)
	if err != nil || device != "" {
		return device, err
	}
	backing, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return "", fmt.Errorf("attaching a loop device: %w", err)
	}
	defer func() { _ = backing.Close() }()
	for {
		device, err := attachFree(backing)
		if errors.Is(err, unix.EBUSY) {
			continue // somebody else was faster with that one
		}
		if err != nil {
			return "", fmt.Errorf("attaching a loop device to %s: %w", file, err)
		}
		return device, nil
	}
}

func attachFree(backing *os.File) (string, error) {
	number, err := freeDevice()
	if err != nil {
		return "", err
	}
	device := fmt.Sprintf("/dev/loop%d", number)
	loop, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = loop.Close() }()
	config := unix.LoopConfig{Fd: uint32(backing.Fd())}
	copy(config.Info.File_name[:], backing.Name())
	return device, unix.IoctlLoopConfigure(int(loop.Fd()), &config)
}

func freeDevice() (int, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("finding a free loop device: %w", err)
	}
	defer func() { _ = control.Close() }()
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return 0, fmt.Errorf("finding a free loop device: %w", err)
	}
	return number, nil
}

// canAttach says why there is no loop device to be had, or nil.
func canAttach() error {
	number, err := freeDevice()
	if err != nil {
		return err
	}
	loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", number), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("opening a free loop device: %w", err)
	}
	return loop.Close()
}

// detach takes the loop device of a file away; none is no error.
func detach(file string) error {
	device, err := deviceOf(file)
	if err != nil || device == "" {
		return err
	}
	return control(device, "detaching", unix.LOOP_CLR_FD)
}

// refresh makes a loop device as large as its file.
func refresh(device string) error {
	return control(device, "expanding", unix.LOOP_SET_CAPACITY)
}

func control(device, doing string, request uint) error {
	loop, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, device, err)
	}
	defer func() { _ = loop.Close() }()
	err = unix.IoctlSetInt(int(loop.Fd()), request, 0)
	detached := request == unix.LOOP_CLR_FD && errors.Is(err, unix.ENXIO)
	if err != nil && !detached {
		return fmt.Errorf("%s %s: %w", doing, device, err)
	}
	return nil
}

// deviceOf returns the loop device that is backed by the file, or "".
func deviceOf(file string) (string, error) {
	devices, err := attached()
	if err != nil {
		return "", err
	}
	for device, backing := range devices {
		if backing == file {
			return device, nil
		}
	}
	return "", nil
}

// attached lists the loop devices in use, with the files that back them.
func attached() (map[string]string, error) {
	const pattern = "/sys/block/loop*/loop/backing_file"
	entries, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("listing loop devices: %w", err)
	}
	devices := make(map[string]string, len(entries))
	for _, entry := range entries {
		content, err := os.ReadFile(entry)
		if err != nil {
			continue // detached meanwhile
		}
		device := "/dev/" + strings.Split(entry, "/")[3]
		backing := strings.TrimSuffix(string(content), "\n")
		devices[device] = strings.TrimSuffix(backing, " (deleted)")
	}
	return devices, nil
}

// fileSystem tells which file system is on a device, or "".
func fileSystem(device string) (string, error) {
	file, err := os.Open(device)
	if err != nil {
		return "", fmt.Errorf("looking for a file system: %w", err)
	}
	defer func() { _ = file.Close() }()
	const extAt = 1024 + 56 // the magic number in the superblock
	head := make([]byte, 4096)
	if _, err := file.ReadAt(head, 0); err != nil {
		return "", fmt.Errorf("looking for a file system on %s: %w", device, err)
	}
	switch {
	case bytes.HasPrefix(head, []byte("XFSB")):
		return "xfs", nil
	case bytes.Equal(head[extAt:extAt+2], []byte{0x53, 0xef}):
		return "ext4", nil
	default:
		return "", nil
	}
}

// format makes a file system.
func format(ctx context.Context, fsType, device string) error {
	if fsType == "ext4" {
		return run(ctx, "mkfs.ext4", "-q", "-F", device)
	}
	return run(ctx, "mkfs.xfs", "-q", "-f", device)
}

// expandFileSystem makes a mounted file system as large as its device.
func expandFileSystem(ctx context.Context, m mount) error {
	if m.fsType == "ext4" {
		return run(ctx, "resize2fs", m.source)
	}
	return run(ctx, "xfs_growfs", m.point)
}

// canFormat says which program for the default file system is missing, or nil.
func canFormat() error {
	for _, program := range []string{"mkfs.xfs", "xfs_growfs", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("looking for the programs of the loop backend: %w", err)
		}
	}
	return nil
}
