package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// checkEvidence returns what is wrong with a table whose last column names, in
// backquotes, the tests that show what a row says, or rows of
// docs/compatibility.md. The first column numbers the rows from 1.
func checkEvidence(root, path string) []error {
	content, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return []error{err}
	}
	known, err := evidence(root)
	if err != nil {
		return []error{err}
	}
	var errs []error
	next := 1
	for number, line := range strings.Split(string(content), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		no, err := strconv.Atoi(cells[0])
		if err != nil {
			continue // no row
		}
		complain := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s:%d: row %d %s", path, number+1, no, fmt.Sprintf(format, args...)))
		}
		if no != next {
			complain("stands where row %d should", next)
		}
		next = no + 1
		names := quoted(cells[len(cells)-1])
		if len(names) == 0 {
			complain("names neither a test nor a row of docs/compatibility.md")
		}
		for _, name := range names {
			if !known[name] {
				complain("names %s: there is no such test, nor such a row of docs/compatibility.md", name)
			}
		}
	}
	if next == 1 {
		errs = append(errs, errors.New(path+" has no rows"))
	}
	return errs
}

func quoted(text string) []string {
	var all []string
	for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}

// evidence returns the names of all tests, and of the rows of
// docs/compatibility.md.
func evidence(root string) (map[string]bool, error) {
	known := map[string]bool{}
	rows, err := os.ReadFile(filepath.Join(root, "docs/compatibility.md"))
	if err != nil {
		return nil, err
	}
	for _, match := range regexp.MustCompile(`(?m)^\| ([a-z0-9-]+) \|`).FindAllSubmatch(rows, -1) {
		known[string(match[1])] = true
	}
	test := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	for _, dir := range []string{"cmd", "hack", "pkg", "test"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			content, err := os.ReadFile(path)
			for _, match := range test.FindAllSubmatch(content, -1) {
				known[string(match[1])] = true
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("looking for tests: %w", err)
		}
	}
	return known, nil
}
