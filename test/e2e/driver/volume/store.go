package volume

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNotFound says that there is no such volume.
var ErrNotFound = errors.New("volume not found")

// A Store keeps volumes in a directory. Several processes may use one
// directory, so that the controller and the node service can run apart; only
// one of them may create volumes.
type Store struct {
	dir  string
	lock *os.File // locked with flock(2) around each change

	mu     sync.Mutex
	byName map[string]string // name to ID, of volumes seen
	cache  map[string]cached
}

// cached is a volume as it was read from a file with that stamp.
type cached struct {
	volume Volume
	stamp  stamp
}

// A stamp changes whenever a file is replaced.
type stamp struct {
	inode uint64
	mtime time.Time
}

// Open uses the directory, and makes it if needed.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the volume directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the volumes: %w", err)
	}
	s := &Store{dir: dir, lock: lock, byName: map[string]string{}, cache: map[string]cached{}}
	if _, err := s.List(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// Close releases the store. The volumes stay.
func (s *Store) Close() error { return s.lock.Close() }

// IsID says whether the text could be the ID of a volume. Nothing else ever
// becomes a part of a path.
func IsID(text string) bool {
	digits, ok := strings.CutPrefix(text, "vol-")
	return ok && len(digits) == 16 && strings.Trim(digits, "0123456789abcdef") == ""
}

// NewID makes an ID that no volume has had.
func NewID() string {
	random := make([]byte, 8)
	rand.Read(random)
	return "vol-" + hex.EncodeToString(random)
}

// Get returns the volume with that ID, or ErrNotFound.
func (s *Store) Get(id string) (Volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.get(id)
}

// ByName returns the volume with that name, or ErrNotFound.
func (s *Store) ByName(name string) (Volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.byName[name]
	if !ok {
		return Volume{}, fmt.Errorf("finding volume %q: %w", name, ErrNotFound)
	}
	return s.get(id)
}

// List returns all volumes, sorted by ID.
func (s *Store) List() ([]Volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("listing volumes: %w", err)
	}
	volumes := make([]Volume, 0, len(entries))
	for _, entry := range entries {
		id, isState := strings.CutSuffix(entry.Name(), ".json")
		if !isState {
			continue
		}
		v, err := s.get(id)
		if errors.Is(err, ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		volumes = append(volumes, v)
	}
	slices.SortFunc(volumes, func(a, b Volume) int { return cmp.Compare(a.ID, b.ID) })
	return volumes, nil
}

// Create stores a new volume.
func (s *Store) Create(v Volume) error {
	return s.change(func() error { return s.write(v) })
}

// Update changes a volume as one step, and returns it. If the function fails,
// nothing changes and its error is returned as it is.
func (s *Store) Update(id string, change func(*Volume) error) (Volume, error) {
	var v Volume
	err := s.change(func() error {
		stored, err := s.get(id)
		if err != nil {
			return err
		}
		v = stored.clone()
		if err := change(&v); err != nil {
			return err
		}
		return s.write(v)
	})
	return v, err
}

// Delete forgets a volume. Forgetting one that is not there is no error.
func (s *Store) Delete(id string) error {
	return s.change(func() error {
		v, err := s.get(id)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := os.Remove(s.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("deleting the state of volume %q: %w", id, err)
		}
		s.forget(v)
		return nil
	})
}

// change runs a change while no other process and no other goroutine does.
func (s *Store) change(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := unix.Flock(int(s.lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("locking the volumes: %w", err)
	}
	return errors.Join(f(), unix.Flock(int(s.lock.Fd()), unix.LOCK_UN))
}

// get reads a volume, from the cache unless another process replaced the file.
func (s *Store) get(id string) (Volume, error) {
	if !IsID(id) {
		return Volume{}, fmt.Errorf("reading volume %q: %w", id, ErrNotFound)
	}
	now, err := stampOf(s.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		if known, ok := s.cache[id]; ok {
			s.forget(known.volume)
		}
		return Volume{}, fmt.Errorf("reading volume %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return Volume{}, fmt.Errorf("reading volume %q: %w", id, err)
	}
	if known, ok := s.cache[id]; ok && known.stamp == now {
		return known.volume, nil
	}
	content, err := os.ReadFile(s.path(id))
	if err != nil {
		return Volume{}, fmt.Errorf("reading volume %q: %w", id, err)
	}
	var v Volume
	if err := json.Unmarshal(content, &v); err != nil {
		return Volume{}, fmt.Errorf("decoding the state of volume %q: %w", id, err)
	}
	s.remember(v, now)
	return v, nil
}

// write replaces the file of a volume.
func (s *Store) write(v Volume) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the state of volume %q: %w", v.ID, err)
	}
	next := s.path(v.ID) + ".next"
	if err := os.WriteFile(next, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the state of volume %q: %w", v.ID, err)
	}
	if err := s.advance(v.ID, next); err != nil {
		return fmt.Errorf("stamping the state of volume %q: %w", v.ID, err)
	}
	// The driver may be killed at any time, the machine is not expected to
	// crash: a rename is enough, a sync would only be slow.
	if err := os.Rename(next, s.path(v.ID)); err != nil {
		return fmt.Errorf("replacing the state of volume %q: %w", v.ID, err)
	}
	written, err := stampOf(s.path(v.ID))
	if err != nil {
		return fmt.Errorf("reading volume %q: %w", v.ID, err)
	}
	s.remember(v, written)
	return nil
}

// advance gives the next file of a volume a later time than the one that it
// replaces has: file systems may set times by the tick of the kernel and use
// inodes again at once, and no two writes may have one stamp.
func (s *Store) advance(id, next string) error {
	before, err := stampOf(s.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	after, err := stampOf(next)
	if err != nil || after.mtime.After(before.mtime) {
		return err
	}
	later := before.mtime.Add(time.Nanosecond)
	return os.Chtimes(next, later, later)
}

func (s *Store) remember(v Volume, now stamp) {
	s.cache[v.ID] = cached{volume: v, stamp: now}
	s.byName[v.Name] = v.ID
}

func (s *Store) forget(v Volume) {
	delete(s.cache, v.ID)
	if s.byName[v.Name] == v.ID {
		delete(s.byName, v.Name)
	}
}

func (s *Store) path(id string) string { return filepath.Join(s.dir, id+".json") }

func stampOf(path string) (stamp, error) {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return stamp{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return stamp{inode: stat.Ino, mtime: time.Unix(stat.Mtim.Unix())}, nil
}
