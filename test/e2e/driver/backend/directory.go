package backend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// directoryBackend keeps a volume in a directory, or in a sparse file if it is
// a block volume. Nothing is made before the volume is staged: a thousand
// volumes cost nothing here.
type directoryBackend struct {
	dir string
	// link publishes by symbolic link, where mounting is not allowed.
	link bool
}

func newDirectory(dir string) *directoryBackend {
	return &directoryBackend{dir: dir, link: canMount() != nil}
}

func (b *directoryBackend) Kind() string { return Directory }

func (b *directoryBackend) Create(context.Context, Spec) error { return nil }

func (b *directoryBackend) Expand(context.Context, Spec) error { return nil }

func (b *directoryBackend) Delete(_ context.Context, id string) error {
	for _, block := range []bool{false, true} {
		if err := os.RemoveAll(b.data(Spec{ID: id, Block: block})); err != nil {
			return fmt.Errorf("deleting the data of volume %q: %w", id, err)
		}
	}
	return nil
}

func (b *directoryBackend) Stage(_ context.Context, spec Spec, _ string) error {
	if spec.Block {
		return expandFile(b.data(spec), spec.Bytes)
	}
	if err := os.MkdirAll(b.data(spec), 0o750); err != nil {
		return fmt.Errorf("making the directory of volume %q: %w", spec.ID, err)
	}
	return nil
}

func (b *directoryBackend) Unstage(context.Context, string, string) error { return nil }

func (b *directoryBackend) Publish(_ context.Context, spec Spec, _, target string) error {
	source := b.data(spec)
	if _, err := os.Stat(source); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("publishing volume %q: %w", spec.ID, ErrNotReady)
	}
	switch {
	case b.link:
		return publishLink(source, target)
	case spec.Block:
		return publishFile(source, target, spec.ReadOnly)
	default:
		return publishDirectory(source, target, spec.ReadOnly)
	}
}

func (b *directoryBackend) Unpublish(_ context.Context, target string) error {
	if !b.link {
		if err := unmount(target); err != nil {
			return err
		}
	}
	return removeTarget(target)
}

func (b *directoryBackend) Resize(_ context.Context, spec Spec, _ string) error {
	if spec.Block {
		return expandFile(b.data(spec), spec.Bytes)
	}
	return nil
}

func (b *directoryBackend) Usage(_ context.Context, spec Spec, _ string) (Usage, error) {
	return Usage{TotalBytes: spec.Bytes, AvailableBytes: spec.Bytes}, nil
}

func (b *directoryBackend) data(spec Spec) string {
	if spec.Block {
		return filepath.Join(b.dir, spec.ID+".img")
	}
	return filepath.Join(b.dir, spec.ID)
}

// publishLink puts a symbolic link in the place of the target, where there may
// be an empty directory.
func publishLink(source, target string) error {
	if there, err := os.Readlink(target); err == nil && there == source {
		return nil
	}
	if err := removeTarget(target); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return fmt.Errorf("making the directory of %s: %w", target, err)
	}
	if err := os.Symlink(source, target); err != nil {
		return fmt.Errorf("linking %s: %w", target, err)
	}
	return nil
}
