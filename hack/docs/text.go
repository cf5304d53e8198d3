package main

import (
	"fmt"
	"strings"
)

// generated begins every page.
const generated = "<!-- Made by `make generate` from the program; changes here are overwritten. -->\n\n"

// firstDifference returns the number of the first line that differs, from 1.
func firstDifference(got, want string) (line int, differs bool) {
	if got == want {
		return 0, false
	}
	ours, theirs := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(ours), len(theirs)) {
		if ours[i] != theirs[i] {
			return i + 1, true
		}
	}
	return min(len(ours), len(theirs)) + 1, true
}

// table writes rows in the way of the other pages of docs.
type table struct{ strings.Builder }

func newTable(columns ...string) *table {
	t := &table{}
	t.row(columns...)
	fmt.Fprintf(t, "|%s\n", strings.Repeat("--|", len(columns)))
	return t
}

func (t *table) row(cells ...string) {
	escaped := make([]string, len(cells))
	for i, cell := range cells {
		escaped[i] = strings.ReplaceAll(cell, "|", `\|`)
	}
	fmt.Fprintf(t, "| %s |\n", strings.Join(escaped, " | "))
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
