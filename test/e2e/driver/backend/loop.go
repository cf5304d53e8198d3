package backend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// smallestXFS is the size below which mkfs.xfs refuses. The file of a smaller
// volume has this size, and its file system is expanded beyond it only.
const smallestXFS = 300 << 20

// loopBackend keeps a volume in a sparse file that is attached to a loop device
// while it is staged.
type loopBackend struct {
	dir string
}

func (b *loopBackend) Kind() string { return Loop }

func (b *loopBackend) Create(_ context.Context, spec Spec) error { return b.expand(spec) }

func (b *loopBackend) Expand(_ context.Context, spec Spec) error { return b.expand(spec) }

func (b *loopBackend) expand(spec Spec) error {
	size := spec.Bytes
	if !spec.Block {
		size = max(size, smallestXFS)
	}
	return expandFile(b.file(spec.ID), size)
}

func (b *loopBackend) Delete(_ context.Context, id string) error {
	if err := detach(b.file(id)); err != nil {
		return err
	}
	if err := os.Remove(b.file(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("deleting the file of volume %q: %w", id, err)
	}
	return nil
}

func (b *loopBackend) Stage(ctx context.Context, spec Spec, path string) error {
	device, err := attach(b.file(spec.ID))
	if err != nil || spec.Block {
		return err
	}
	there, mounted, err := mountAt(path)
	if err != nil {
		return err
	}
	if mounted && there.source == device {
		return nil
	}
	if mounted {
		return fmt.Errorf("staging volume %q: %s is mounted at %s", spec.ID, there.source, path)
	}
	fsType, err := ensureFileSystem(ctx, spec.FSType, device)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(path, 0o750); err != nil {
		return fmt.Errorf("making the staging path: %w", err)
	}
	options := slices.Clone(spec.MountOptions)
	if spec.Copied && fsType == "xfs" {
		// Otherwise its original must not be mounted at the same time.
		options = append(options, "nouuid")
	}
	args := []string{"-t", fsType}
	if len(options) > 0 {
		args = append(args, "-o", strings.Join(options, ","))
	}
	if err := run(ctx, "mount", append(args, device, path)...); err != nil || !spec.Copied {
		return err
	}
	return expandFileSystem(ctx, mount{fsType: fsType, source: device, point: path})
}

// ensureFileSystem formats a device that has no file system and says which it
// has.
func ensureFileSystem(ctx context.Context, wanted, device string) (string, error) {
	if wanted == "" {
		wanted = FSTypes()[0]
	}
	found, err := fileSystem(device)
	if err != nil {
		return "", err
	}
	if found == "" {
		return wanted, format(ctx, wanted, device)
	}
	if found != wanted {
		return "", fmt.Errorf("%s has the file system %s, not %s", device, found, wanted)
	}
	return found, nil
}

func (b *loopBackend) Unstage(_ context.Context, id, path string) error {
	if err := unmount(path); err != nil {
		return err
	}
	return detach(b.file(id))
}

func (b *loopBackend) Publish(_ context.Context, spec Spec, staged, target string) error {
	device, err := deviceOf(b.file(spec.ID))
	if err != nil {
		return err
	}
	if device == "" {
		return fmt.Errorf("publishing volume %q: %w", spec.ID, ErrNotReady)
	}
	if spec.Block {
		return publishFile(device, target, spec.ReadOnly)
	}
	if _, mounted, err := mountAt(staged); err != nil || !mounted {
		return errors.Join(err, fmt.Errorf("publishing volume %q from %s: %w", spec.ID, staged, ErrNotReady))
	}
	return publishDirectory(staged, target, spec.ReadOnly)
}

func (b *loopBackend) Unpublish(_ context.Context, target string) error {
	if err := unmount(target); err != nil {
		return err
	}
	return removeTarget(target)
}

func (b *loopBackend) Resize(ctx context.Context, spec Spec, path string) error {
	device, err := deviceOf(b.file(spec.ID))
	if err != nil {
		return err
	}
	if device == "" {
		return fmt.Errorf("expanding volume %q: %w", spec.ID, ErrNotReady)
	}
	if err := refresh(device); err != nil || spec.Block {
		return err
	}
	there, mounted, err := mountAt(path)
	if err != nil {
		return err
	}
	if !mounted || there.source != device {
		return fmt.Errorf("expanding volume %q at %s: %w", spec.ID, path, ErrNotReady)
	}
	return expandFileSystem(ctx, there)
}

func (b *loopBackend) Usage(_ context.Context, spec Spec, path string) (Usage, error) {
	if spec.Block {
		return Usage{TotalBytes: spec.Bytes}, nil
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return Usage{}, fmt.Errorf("measuring %s: %w", path, err)
	}
	block := stat.Bsize
	return Usage{
		TotalBytes:      int64(stat.Blocks) * block,
		UsedBytes:       int64(stat.Blocks-stat.Bfree) * block,
		AvailableBytes:  int64(stat.Bavail) * block,
		TotalInodes:     int64(stat.Files),
		UsedInodes:      int64(stat.Files - stat.Ffree),
		AvailableInodes: int64(stat.Ffree),
	}, nil
}

func (b *loopBackend) file(id string) string { return filepath.Join(b.dir, id+".img") }

// expandFile makes a sparse file at least that large.
func expandFile(path string, size int64) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("making the file of a volume: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("measuring %s: %w", path, err)
	}
	if info.Size() >= size {
		return nil
	}
	if err := file.Truncate(size); err != nil {
		return fmt.Errorf("expanding %s to %d bytes: %w", path, size, err)
	}
	return nil
}

// publishDirectory bind mounts a directory once.
func publishDirectory(source, target string, readOnly bool) error {
	if _, mounted, err := mountAt(target); err != nil || mounted {
		return err
	}
	if err := os.MkdirAll(target, 0o750); err != nil {
		return fmt.Errorf("making the target path: %w", err)
	}
	return bind(source, target, readOnly)
}

// publishFile bind mounts a device or file once.
func publishFile(source, target string, readOnly bool) error {
	if _, mounted, err := mountAt(target); err != nil || mounted {
		return err
	}
	if err := makeFile(target); err != nil {
		return err
	}
	return bind(source, target, readOnly)
}
