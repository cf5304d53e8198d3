// Command docs writes those pages of docs that tell what the program itself
// knows: its flags, metrics and events. With -check it writes nothing, and ends
// with code 1 if a page is not as it must be, or names a test that does not exist.
// With -peers it compares what is told of the flags of the peers with themselves. It
// runs in the root of the repository.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// page is a file whose text is made.
type page struct {
	path string
	text func() (string, error)
}

func pages() []page {
	return []page{
		{"docs/flags.md", flagsPage},
		{"docs/metrics.md", metricsPage},
		{"docs/events.md", func() (string, error) { return eventsPage("pkg", names.Events()) }},
	}
}

func main() {
	check := flag.Bool("check", false, "Write nothing; tell what is not as it must be.")
	peers := flag.String("peers", "", "Write nothing; compare with these programs: the paths of external-provisioner and external-resizer, with a comma.")
	flag.Parse()
	var err error
	switch provisioner, resizer, ok := strings.Cut(*peers, ","); {
	case ok:
		err = checkPeers(provisioner, resizer)
	case *check:
		err = verify(".")
	default:
		err = write(".")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(root string) error {
	for _, p := range pages() {
		text, err := p.text()
		if err != nil {
			return fmt.Errorf("making %s: %w", p.path, err)
		}
		if err := os.WriteFile(filepath.Join(root, p.path), []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", p.path, err)
		}
	}
	return nil
}

// verify returns everything that is wrong, and how to fix it.
func verify(root string) error {
	var errs []error
	for _, p := range pages() {
		text, err := p.text()
		if err != nil {
			errs = append(errs, fmt.Errorf("making %s: %w", p.path, err))
			continue
		}
		if err := compare(filepath.Join(root, p.path), text); err != nil {
			errs = append(errs, err)
		}
	}
	for _, page := range []string{"docs/weaknesses.md", "docs/security.md"} {
		errs = append(errs, checkEvidence(root, page)...)
	}
	return errors.Join(errs...)
}

// compare returns the first line of a file that is not as it must be.
func compare(path, want string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%w: make generate writes it", err)
	}
	if line, differs := firstDifference(string(content), want); differs {
		return fmt.Errorf("%s:%d is not what the program says: make generate fixes it", path, line)
	}
	return nil
}
