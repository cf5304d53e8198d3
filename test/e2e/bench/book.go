package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Book keeps the last result of each row, and makes a page and plots of them.
type Book struct {
	dir     string
	machine Machine
	results map[string]Result // by row
}

// resultsFile holds the samples from which the page is made.
const resultsFile = "results.json"

// OpenBook opens the one in a directory. Without a directory nothing is kept.
func OpenBook(dir string) (*Book, error) {
	machine, err := ThisMachine()
	if err != nil {
		return nil, err
	}
	b := &Book{dir: dir, machine: machine, results: map[string]Result{}}
	if dir == "" {
		return b, nil
	}
	content, err := os.ReadFile(filepath.Join(dir, resultsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading earlier results: %w", err)
	}
	if err := json.Unmarshal(content, &b.results); err != nil {
		return nil, fmt.Errorf("reading earlier results from %s (remove it to begin anew): %w", dir, err)
	}
	return b, nil
}

// Add takes in what came of a row, and writes everything.
func (b *Book) Add(result Result) error {
	result.Machine = b.machine
	b.results[result.Row] = result
	if b.dir == "" {
		return nil
	}
	if err := b.write(); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}

func (b *Book) write() error {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	content, err := json.MarshalIndent(b.results, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.dir, resultsFile), append(content, '\n'), 0o644); err != nil {
		return err
	}
	if err := b.draw(); err != nil {
		return err
	}
	return os.WriteFile(b.dir+".md", []byte(b.page()), 0o644)
}

// inOrder returns the rows that have results.
func (b *Book) inOrder() []row {
	return slices.DeleteFunc(rows(fullScale()), func(r row) bool {
		_, ok := b.results[r.name]
		return !ok
	})
}
