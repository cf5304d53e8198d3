// Package snapshot keeps what the driver knows of its snapshots: one small JSON
// file each, so that they survive the driver.
package snapshot

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
)

// ErrNotFound says that there is no such snapshot.
var ErrNotFound = errors.New("snapshot not found")

// A Snapshot is what the driver knows of one snapshot.
type Snapshot struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	// Volume is the ID of the volume that it is of.
	Volume string `json:"volume"`
	// Bytes is the size of that volume, and Block its mode.
	Bytes int64 `json:"bytes"`
	Block bool  `json:"block,omitempty"`
}

// A Store keeps snapshots in a directory, which no other process uses.
type Store struct {
	dir string

	mu  sync.Mutex
	all map[string]Snapshot // by ID
}

const prefix = "snap-"

// NewID makes an ID that no snapshot has had.
func NewID() string {
	random := make([]byte, 8)
	rand.Read(random)
	return prefix + hex.EncodeToString(random)
}

// IsID says whether the text could be the ID of a snapshot.
func IsID(text string) bool {
	digits, ok := strings.CutPrefix(text, prefix)
	return ok && len(digits) == 16 && strings.Trim(digits, "0123456789abcdef") == ""
}

// Open uses the directory, and makes it if needed.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the snapshot directory: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("listing snapshots: %w", err)
	}
	s := &Store{dir: dir, all: map[string]Snapshot{}}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading a snapshot: %w", err)
		}
		var found Snapshot
		if err := json.Unmarshal(content, &found); err != nil {
			return nil, fmt.Errorf("decoding %s: %w", file, err)
		}
		s.all[found.ID] = found
	}
	return s, nil
}

// Get returns the snapshot with that ID, or ErrNotFound.
func (s *Store) Get(id string) (Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.all[id]
	if !ok {
		return Snapshot{}, fmt.Errorf("finding snapshot %q: %w", id, ErrNotFound)
	}
	return found, nil
}

// ByName returns the snapshot with that name, or ErrNotFound.
func (s *Store) ByName(name string) (Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, found := range s.all {
		if found.Name == name {
			return found, nil
		}
	}
	return Snapshot{}, fmt.Errorf("finding snapshot %q: %w", name, ErrNotFound)
}

// List returns all snapshots, sorted by ID.
func (s *Store) List() []Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Snapshot, 0, len(s.all))
	for _, found := range s.all {
		all = append(all, found)
	}
	slices.SortFunc(all, func(a, b Snapshot) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Create stores a new snapshot.
func (s *Store) Create(made Snapshot) error {
	content, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding snapshot %q: %w", made.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.path(made.ID) + ".next"
	if err := errors.Join(os.WriteFile(next, append(content, '\n'), 0o600), os.Rename(next, s.path(made.ID))); err != nil {
		return fmt.Errorf("writing snapshot %q: %w", made.ID, err)
	}
	s.all[made.ID] = made
	return nil
}

// Delete forgets a snapshot. Forgetting one that is not there is no error.
func (s *Store) Delete(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.all[id]; !ok {
		return nil
	}
	if err := os.Remove(s.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting snapshot %q: %w", id, err)
	}
	delete(s.all, id)
	return nil
}

func (s *Store) path(id string) string { return filepath.Join(s.dir, id+".json") }
