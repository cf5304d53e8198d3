// Package backend holds the data of volumes on this machine and gives them to
// its pods.
//
// The loop backend is the real one: a volume is a sparse file, staging attaches
// it to a loop device, makes a file system on it once and mounts that, and
// publishing bind mounts it. The directory backend works without root and
// without loop devices, and makes thousands of volumes cheaply: a volume is a
// directory (or a sparse file for a block volume) that is bind mounted where
// that is allowed and linked to where it is not.
//
// All methods may be called again after they were done or were interrupted.
package backend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Kinds of backend.
const (
	Auto      = "auto"
	Loop      = "loop"
	Directory = "directory"
)

// ErrNotReady says that the volume is not staged or published where the call
// needs it to be.
var ErrNotReady = errors.New("volume is not there")

// A Spec is what a backend needs to know of a volume.
type Spec struct {
	ID string
	// Block asks for the device instead of a file system.
	Block bool
	// FSType is the file system: "xfs", "ext4", or "" for the default.
	FSType string
	// MountOptions are those of the class.
	MountOptions []string
	// ReadOnly is for publishing.
	ReadOnly bool
	// Copied tells that the file system may be another one's copy: as small, and
	// with its UUID.
	Copied bool
	// Bytes is the size of the volume.
	Bytes int64
}

// Usage is what a volume holds. Inodes are zero for block volumes.
type Usage struct {
	TotalBytes, UsedBytes, AvailableBytes    int64
	TotalInodes, UsedInodes, AvailableInodes int64
}

// A Backend holds the data of volumes.
type Backend interface {
	// Kind is Loop or Directory.
	Kind() string

	// Copy makes the storage of a volume, or of a snapshot, with the data that
	// another one has. Where there is storage already, nothing is done.
	Copy(ctx context.Context, from, to Spec) error
	// Create makes the storage of a volume that has none, and one that was copied
	// as large as it must be.
	Create(ctx context.Context, spec Spec) error
	// Expand makes the storage larger. It never makes it smaller. The file
	// system stays as it is.
	Expand(ctx context.Context, spec Spec) error
	// Delete removes the storage of a volume that is staged nowhere.
	Delete(ctx context.Context, id string) error

	// Stage makes the volume ready for this node at that path.
	Stage(ctx context.Context, spec Spec, path string) error
	// Unstage takes it away again.
	Unstage(ctx context.Context, id, path string) error
	// Publish shows the volume that is staged at one path at another.
	Publish(ctx context.Context, spec Spec, staged, target string) error
	// Unpublish takes the target away.
	Unpublish(ctx context.Context, target string) error

	// Resize makes the device and the file system that is at the path as
	// large as the storage.
	Resize(ctx context.Context, spec Spec, path string) error
	// Usage tells what the volume at the path holds.
	Usage(ctx context.Context, spec Spec, path string) (Usage, error)
}

// FSTypes are the file systems that volumes can have, the default first. Ext4
// is there for classes that ask for it: expanding it online needs a capability
// that root may lack in a sandbox.
func FSTypes() []string { return []string{"xfs", "ext4"} }

// New makes the backend of that kind; its data goes to the directory.
func New(kind, dir string) (Backend, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	dir, err := absolute(dir)
	if err != nil {
		return nil, err
	}
	switch kind {
	case Loop:
		return &loopBackend{dir: dir}, CanLoop()
	case Directory:
		return newDirectory(dir), nil
	case Auto:
		if CanLoop() == nil {
			return &loopBackend{dir: dir}, nil
		}
		return newDirectory(dir), nil
	default:
		return nil, fmt.Errorf("backend is %q: want %s, %s or %s", kind, Loop, Directory, Auto)
	}
}

// CanLoop says why the loop backend does not work here, or nil.
func CanLoop() error {
	if err := canMount(); err != nil {
		return err
	}
	if err := canAttach(); err != nil {
		return err
	}
	return canFormat()
}

// absolute returns the path under which the kernel lists what is in the
// directory.
func absolute(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("finding the data directory: %w", err)
	}
	resolved, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, os.ErrNotExist) {
		return dir, nil
	}
	if err != nil {
		return "", fmt.Errorf("finding the data directory: %w", err)
	}
	return resolved, nil
}
