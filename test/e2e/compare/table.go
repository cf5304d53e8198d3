package compare

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// longestValue is how much of a value is shown.
const longestValue = 300

// Table tells the results, one a line.
func Table(results []Result) string {
	width := len("scenario")
	for _, result := range results {
		width = max(width, len(result.Scenario.Name))
	}
	var table strings.Builder
	line := func(name string, calls, objects, events, differences any) {
		fmt.Fprintf(&table, "%-*s %6v %8v %7v  %v\n", width, name, calls, objects, events, differences)
	}
	line("scenario", "calls", "objects", "events", "differences")
	var total Result
	wrong := 0
	for _, r := range results {
		line(r.Scenario.Name, r.Calls, r.Objects, r.Events, r.Summary())
		total.Calls, total.Objects, total.Events = total.Calls+r.Calls, total.Objects+r.Objects, total.Events+r.Events
		if !r.Sound() {
			wrong++
		}
	}
	line(fmt.Sprintf("%d scenarios", len(results)), total.Calls, total.Objects, total.Events, fmt.Sprintf("%d not as expected", wrong))
	return table.String()
}

// Summary tells the differences of a scenario in a line.
func (r Result) Summary() string {
	if r.Err != nil {
		return "NOT PLAYED"
	}
	var parts []string
	for _, row := range slices.Sorted(maps.Keys(r.Explained)) {
		parts = append(parts, fmt.Sprintf("%d %s", r.Explained[row], row))
	}
	if len(r.Unexplained) > 0 {
		parts = append(parts, fmt.Sprintf("%d UNEXPLAINED", len(r.Unexplained)))
	}
	if len(r.Missing) > 0 {
		parts = append(parts, fmt.Sprintf("%d MISSING", len(r.Missing)))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// Details tell what is not as expected, in the form of scenario.yaml so that what
// is meant can be put there with a row's name.
func (r Result) Details() string {
	var text strings.Builder
	if r.Err != nil {
		fmt.Fprintf(&text, "%s: %v\n", r.Scenario.Name, r.Err)
	}
	if len(r.Unexplained) > 0 {
		fmt.Fprintf(&text, "%s: differences that no row explains:\n", r.Scenario.Name)
	}
	for _, d := range r.Unexplained {
		fmt.Fprintf(&text, "- row: ?\n  at: %s\n  own: %s\n  peer: %s\n", d.At, shorten(d.Own), shorten(d.Peer))
	}
	for _, missing := range r.Missing {
		fmt.Fprintf(&text, "%s: %s\n", r.Scenario.Name, missing)
	}
	return text.String()
}

func shorten(value string) string {
	if len(value) <= longestValue {
		return value
	}
	return value[:longestValue] + "..."
}
