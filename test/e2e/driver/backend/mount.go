package backend

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A mount is one line of /proc/self/mountinfo.
type mount struct {
	device string // major:minor of the file system
	root   string // what of the file system is mounted
	point  string // where
	fsType string
	source string
}

// mounts lists all mounts, the oldest first.
func mounts() ([]mount, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	defer func() { _ = file.Close() }()
	var all []mount
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m, ok := parseMount(lines.Text()); ok {
			all = append(all, m)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	return all, nil
}

// parseMount reads a line such as
//
//	36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw
func parseMount(line string) (mount, bool) {
	before, after, ok := strings.Cut(line, " - ")
	left, right := strings.Fields(before), strings.Fields(after)
	if !ok || len(left) < 5 || len(right) < 2 {
		return mount{}, false
	}
	return mount{
		device: left[2],
		root:   unescape(left[3]),
		point:  unescape(left[4]),
		fsType: right[0],
		source: unescape(right[1]),
	}, true
}

// unescape turns the kernel's \040 and the like back into characters.
func unescape(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if code, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

// mountAt returns the topmost mount at exactly that path.
func mountAt(path string) (mount, bool, error) {
	path, err := resolve(path)
	if err != nil {
		return mount{}, false, err
	}
	all, err := mounts()
	if err != nil {
		return mount{}, false, err
	}
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].point == path {
			return all[i], true, nil
		}
	}
	return mount{}, false, nil
}

// resolve finds the path under which the kernel lists a mount point. The last
// element stays as it is: it may be a link of ours.
func resolve(path string) (string, error) {
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if errors.Is(err, os.ErrNotExist) {
		return filepath.Clean(path), nil
	}
	if err != nil {
		return "", fmt.Errorf("resolving %s: %w", path, err)
	}
	return filepath.Join(parent, filepath.Base(path)), nil
}

// bind mounts what is at one path at another.
func bind(source, target string, readOnly bool) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind mounting %s at %s: %w", source, target, err)
	}
	if !readOnly {
		return nil
	}
	// A bind mount takes its flags with a second call only.
	const flags = unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY
	if err := unix.Mount("", target, "", flags, ""); err != nil {
		err = fmt.Errorf("making %s read-only: %w", target, err)
		return errors.Join(err, unmount(target))
	}
	return nil
}

// unmount takes all mounts at the path away; none is no error.
func unmount(path string) error {
	for {
		_, mounted, err := mountAt(path)
		if err != nil || !mounted {
			return err
		}
		if err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmounting %s: %w", path, err)
		}
	}
}

// removeTarget removes what is left of a target once it is not mounted: an
// empty directory, an empty file or a link. Anything else is not ours.
func removeTarget(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		err = errors.New("it is a file with content")
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		return fmt.Errorf("removing target %s: %w", path, err)
	}
	return nil
}

// makeFile makes an empty file to bind mount a device on.
func makeFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("making the directory of %s: %w", path, err)
	}
	file, err := os.OpenFile(path, os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("making %s: %w", path, err)
	}
	return file.Close()
}

// canMount says why this process may not mount, or nil.
func canMount() error {
	dir, err := os.MkdirTemp("", "csi-can-mount-")
	if err != nil {
		return fmt.Errorf("trying to mount: %w", err)
	}
	err = bind(dir, dir, false)
	if err == nil {
		err = unmount(dir)
	}
	return errors.Join(err, os.Remove(dir))
}

// run runs a program and makes its output a part of the error.
func run(ctx context.Context, name string, args ...string) error {
	output, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		said := strings.TrimSpace(string(output))
		return fmt.Errorf("running %s %s: %w: %s", name, strings.Join(args, " "), err, said)
	}
	return nil
}
