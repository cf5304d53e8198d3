package figures

import (
	"fmt"
	"strings"
)

// A Table is one in Markdown: its first column has the names of the rows.
type Table struct {
	columns int
	text    strings.Builder
}

// NewTable begins a table with the titles of its columns.
func NewTable(titles ...string) *Table {
	t := &Table{columns: len(titles)}
	t.line(titles)
	t.text.WriteString("|--|" + strings.Repeat("--:|", len(titles)-1) + "\n")
	return t
}

// Row adds a row. Values are shown as %v shows them; columns without one are empty.
func (t *Table) Row(name string, values ...any) {
	cells := make([]string, t.columns)
	cells[0] = name
	for n, value := range values {
		cells[n+1] = fmt.Sprint(value)
	}
	t.line(cells)
}

func (t *Table) line(cells []string) {
	t.text.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// String returns the table as Markdown.
func (t *Table) String() string { return t.text.String() }
