package price

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// What the journal may cost.
const (
	// MaxExtraWrites is for each volume of a burst.
	MaxExtraWrites = 0.1
	// MaxLoss is the part of a burst's throughput.
	MaxLoss = 0.1
	// MaxRoundTrips is for a claim that comes alone, in the time of a round trip to
	// the API server.
	MaxRoundTrips = 1
)

// Sample is one measurement in one mode.
type Sample struct {
	Claims int
	// Took is from the first moment of the burst to the last PersistentVolume.
	Took   time.Duration
	Writes Writes
	// CPU is the processor time that the burst took, of the sidecar and of the API
	// server together: how busy the machine is otherwise does not change it much.
	CPU CPU
	// Lone are the times of claims that came alone, RoundTrip those of writes of
	// something small.
	Lone, RoundTrip []time.Duration
}

// Throughput is in volumes a second.
func (s Sample) Throughput() float64 { return float64(s.Claims) / s.Took.Seconds() }

// WritesPerVolume counts those of the journal, too.
func (s Sample) WritesPerVolume() float64 {
	return float64(s.Writes.Journal+s.Writes.Volumes) / float64(s.Claims)
}

func (s Sample) String() string {
	return fmt.Sprintf("%6.1f volumes/s; CPU %.1f s of the sidecar, %.1f s of the API server; %d writes, %d of them to the journal; alone %.1f ms, a round trip %.1f ms",
		s.Throughput(), s.CPU.Sidecar.Seconds(), s.CPU.API.Seconds(), s.Writes.Journal+s.Writes.Volumes, s.Writes.Journal, milliseconds(median(s.Lone)), milliseconds(median(s.RoundTrip)))
}

// Pair is the same in both modes, one right after the other.
type Pair struct{ On, Off Sample }

// Figures are all measurements.
type Figures struct {
	Options Options `json:"-"`
	Pairs   []Pair
}

// ExtraWrites is the median of what a volume costs more with the journal.
func (f *Figures) ExtraWrites() float64 {
	return f.median(func(p Pair) float64 { return p.On.WritesPerVolume() - p.Off.WritesPerVolume() })
}

// Loss is the median of the part of the throughput that is lost.
func (f *Figures) Loss() float64 {
	return f.median(func(p Pair) float64 { return 1 - p.On.Throughput()/p.Off.Throughput() })
}

// ExtraCPU is the median of the part of the processor time that comes on top.
func (f *Figures) ExtraCPU() float64 {
	return f.median(func(p Pair) float64 { return p.On.CPU.total()/p.Off.CPU.total() - 1 })
}

// RoundTrips is the median of what a lone claim takes longer, in round trips.
func (f *Figures) RoundTrips() float64 {
	return f.median(func(p Pair) float64 {
		trip := median(slices.Concat(p.On.RoundTrip, p.Off.RoundTrip))
		return float64(median(p.On.Lone)-median(p.Off.Lone)) / float64(trip)
	})
}

func (f *Figures) median(of func(Pair) float64) float64 {
	values := make([]float64, 0, len(f.Pairs))
	for _, pair := range f.Pairs {
		values = append(values, of(pair))
	}
	return median(values)
}

// Excess tells which limits are exceeded.
func (f *Figures) Excess() []string {
	var excess []string
	for _, limit := range []struct {
		what      string
		is, limit float64
	}{
		{"extra writes a volume", f.ExtraWrites(), MaxExtraWrites},
		{"loss of throughput", f.Loss(), MaxLoss},
		{"round trips of a lone claim", f.RoundTrips(), MaxRoundTrips},
	} {
		if limit.is > limit.limit {
			excess = append(excess, fmt.Sprintf("%s: %.3f, at most %.3f", limit.what, limit.is, limit.limit))
		}
	}
	return excess
}

// Table writes the figures as Markdown.
func (f *Figures) Table() string {
	var table strings.Builder
	table.WriteString("| pair | volumes/s with | without | writes a volume with | without | lone claim with | without | a round trip |\n")
	table.WriteString("|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for n, pair := range f.Pairs {
		fmt.Fprintf(&table, "| %d | %.0f | %.0f | %.3f | %.3f | %.1f ms | %.1f ms | %.1f ms |\n", n+1,
			pair.On.Throughput(), pair.Off.Throughput(), pair.On.WritesPerVolume(), pair.Off.WritesPerVolume(),
			milliseconds(median(pair.On.Lone)), milliseconds(median(pair.Off.Lone)),
			milliseconds(median(slices.Concat(pair.On.RoundTrip, pair.Off.RoundTrip))))
	}
	fmt.Fprintf(&table, "\n| the journal's price, medians of the pairs | | at most |\n|--|--:|--:|\n")
	fmt.Fprintf(&table, "| extra writes a volume | %.3f | %.1f |\n", f.ExtraWrites(), MaxExtraWrites)
	fmt.Fprintf(&table, "| throughput lost | %.1f %% | %.0f %% |\n", 100*f.Loss(), 100*MaxLoss)
	fmt.Fprintf(&table, "| processor time on top, sidecar and API server | %.1f %% | |\n", 100*f.ExtraCPU())
	fmt.Fprintf(&table, "| a lone claim, in round trips | %.2f | 1 |\n", f.RoundTrips())
	return table.String()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median returns the middle value, or the mean of the two in the middle; 0 of none.
func median[T ~int64 | ~float64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
