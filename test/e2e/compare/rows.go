package compare

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Rows returns the names of the rows of the tables in docs/compatibility.md: their
// first cells. Each table has the column "name" first.
func Rows(document string) ([]string, error) {
	named := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	var rows []string
	header := true
	for number, line := range strings.Split(document, "\n") {
		if !strings.HasPrefix(line, "|") {
			header = true
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		name := strings.TrimSpace(cells[0])
		switch {
		case header && name != "name":
			return nil, fmt.Errorf("line %d: the first column is %q, not \"name\"", number+1, name)
		case header, strings.HasPrefix(name, "--"):
		case !named.MatchString(name):
			return nil, fmt.Errorf("line %d: the row has no name, but %q: use lower case words with dashes", number+1, name)
		case slices.Contains(rows, name):
			return nil, fmt.Errorf("line %d: there are two rows %q", number+1, name)
		default:
			rows = append(rows, name)
		}
		header = false
	}
	return rows, nil
}
