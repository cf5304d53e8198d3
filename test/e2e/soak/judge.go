package soak

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
)

// Result is what came of a soak.
type Result struct {
	Took            time.Duration
	Volumes, Faults int
	Samples         []Sample
}

// A measure is something that must not increase.
type measure struct {
	name, unit string
	// of returns it in units of scale.
	of    func(Sample) float64
	scale float64
	// slack is what it may increase by on top of the tenth, in units: small numbers vary
	// by more than that.
	slack float64
}

func measures() []measure {
	return []measure{
		{"resident memory", "MiB", func(s Sample) float64 { return s.Resident }, figures.Mebibyte, 4},
		{"heap in use", "MiB", func(s Sample) float64 { return s.Heap }, figures.Mebibyte, 2},
		{"goroutines", "", func(s Sample) float64 { return s.Goroutines }, 1, 10},
		{"file descriptors", "", func(s Sample) float64 { return s.Descriptors }, 1, 5},
	}
}

func (m measure) title() string { return strings.TrimSuffix(m.name+", "+m.unit, ", ") }

// maxIncrease is the part by which a measure may be larger in the end.
const maxIncrease = 0.1

// quarters are those of the time; the median of each counts.
const quarters = 4

// minSamples is how many a quarter has at least, for its median to mean something.
const minSamples = 5

// Judge returns an error when something has increased: when its median in the last
// quarter of the time is larger than that in the second one, by more than a tenth and
// the slack. In the first one the program warms up.
func (r *Result) Judge() error {
	if len(r.Samples) < quarters*minSamples {
		return fmt.Errorf("there are only %d samples, %d are needed", len(r.Samples), quarters*minSamples)
	}
	var errs []error
	for _, m := range measures() {
		second, last := r.median(m, 1), r.median(m, quarters-1)
		if last > second*(1+maxIncrease)+m.slack {
			errs = append(errs, fmt.Errorf("%s has increased from %.1f to %.1f %s", m.name, second, last, m.unit))
		}
	}
	return errors.Join(errs...)
}

// median returns that of a measure in a quarter, from 0.
func (r *Result) median(m measure, quarter int) float64 {
	from, to := len(r.Samples)*quarter/quarters, len(r.Samples)*(quarter+1)/quarters
	return figures.MedianOf(r.Samples[from:to], m.of) / m.scale
}

// Table returns the medians as Markdown.
func (r *Result) Table() string {
	summary := fmt.Sprintf("%.0f minutes, %d volumes created, expanded and deleted, %d faults, %d samples\n\n", r.Took.Minutes(), r.Volumes, r.Faults, len(r.Samples))
	table := figures.NewTable("median", "1st quarter", "2nd", "3rd", "4th")
	if len(r.Samples) < quarters {
		return summary + table.String()
	}
	for _, m := range measures() {
		var medians []any
		for quarter := range quarters {
			medians = append(medians, fmt.Sprintf("%.1f", r.median(m, quarter)))
		}
		table.Row(m.title(), medians...)
	}
	return summary + table.String()
}
