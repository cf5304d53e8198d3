package soak

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Result is what came of a soak.
type Result struct {
	Took            time.Duration
	Volumes, Faults int
	Samples         []Sample
}

// A measure is something that may not grow.
type measure struct {
	name, unit string
	of         func(Sample) float64
	scale      float64
	// slack is what may come on top of the tenth, in units: small numbers vary by
	// more than that.
	slack float64
}

func measures() []measure {
	return []measure{
		{"resident memory", "MiB", func(s Sample) float64 { return s.Resident }, mebibyte, 4},
		{"heap in use", "MiB", func(s Sample) float64 { return s.Heap }, mebibyte, 2},
		{"goroutines", "", func(s Sample) float64 { return s.Goroutines }, 1, 10},
		{"file descriptors", "", func(s Sample) float64 { return s.FDs }, 1, 5},
	}
}

// growth is the part by which a measure may be larger in the end.
const growth = 0.1

// quarters are those of the time; the medians of each are looked at.
const quarters = 4

// minSamples is how many a quarter has at least, to have a median worth the name.
const minSamples = 5

// Judge returns an error when something has grown: when its median in the last
// quarter of the time is larger than that in the second one, by more than a tenth and
// a little. In the first one the program warms up.
func (r *Result) Judge() error {
	if len(r.Samples) < quarters*minSamples {
		return fmt.Errorf("there are only %d samples, %d are needed", len(r.Samples), quarters*minSamples)
	}
	var errs []error
	for _, m := range measures() {
		second, last := r.median(m, 1), r.median(m, quarters-1)
		if last > second*(1+growth)+m.slack {
			errs = append(errs, fmt.Errorf("%s has grown from %.1f to %.1f %s", m.name, second, last, m.unit))
		}
	}
	return errors.Join(errs...)
}

// median is that of a measure in a quarter, from 0.
func (r *Result) median(m measure, quarter int) float64 {
	from, to := len(r.Samples)*quarter/quarters, len(r.Samples)*(quarter+1)/quarters
	var values []float64
	for _, sample := range r.Samples[from:to] {
		values = append(values, m.of(sample)/m.scale)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// Table writes the medians as Markdown.
func (r *Result) Table() string {
	var table strings.Builder
	fmt.Fprintf(&table, "%.0f minutes, %d volumes created, grown and deleted, %d faults, %d samples\n\n", r.Took.Minutes(), r.Volumes, r.Faults, len(r.Samples))
	table.WriteString("| median | 1st quarter | 2nd | 3rd | 4th |\n|--|--:|--:|--:|--:|\n")
	if len(r.Samples) < quarters {
		return table.String()
	}
	for _, m := range measures() {
		fmt.Fprintf(&table, "| %s |", strings.TrimSuffix(m.name+", "+m.unit, ", "))
		for quarter := range quarters {
			fmt.Fprintf(&table, " %.1f |", r.median(m, quarter))
		}
		table.WriteString("\n")
	}
	return table.String()
}
