package backend

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// copyData copies a file or directory, sharing its blocks where the file system
// can. It is there as a whole or not at all; what is there is left as it is.
func copyData(ctx context.Context, from, to string) error {
	if _, err := os.Lstat(to); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	next := to + ".copy"
	if err := os.RemoveAll(next); err != nil {
		return fmt.Errorf("removing what is left of a copy: %w", err)
	}
	if err := run(ctx, "cp", "-a", "--reflink=auto", "--sparse=always", from, next); err != nil {
		return err
	}
	if err := os.Rename(next, to); err != nil {
		return fmt.Errorf("naming the copy of %s: %w", from, err)
	}
	return nil
}

// flush writes what is cached of a device, and of the file systems on it, into the
// file that backs it.
func flush(device string) error {
	all, err := mounts()
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.source != device || m.fsType == "devtmpfs" {
			continue
		}
		if err := syncAt(m.point, unix.Syncfs); err != nil {
			return err
		}
	}
	return syncAt(device, unix.Fsync)
}

func syncAt(path string, sync func(int) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("flushing %s: %w", path, err)
	}
	defer func() { _ = file.Close() }()
	if err := sync(int(file.Fd())); err != nil {
		return fmt.Errorf("flushing %s: %w", path, err)
	}
	return nil
}

func (b *loopBackend) Copy(ctx context.Context, from, to Spec) error {
	device, err := deviceOf(b.file(from.ID))
	if err != nil {
		return err
	}
	if device != "" {
		if err := flush(device); err != nil {
			return err
		}
	}
	return copyData(ctx, b.file(from.ID), b.file(to.ID))
}

// Copy copies what there is: nothing of a volume that was never staged, or of one of
// the other mode.
func (b *directoryBackend) Copy(ctx context.Context, from, to Spec) error {
	source := Spec{ID: from.ID, Block: to.Block}
	if _, err := os.Stat(b.data(source)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return copyData(ctx, b.data(source), b.data(to))
}
