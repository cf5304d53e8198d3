package price

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
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
	return fmt.Sprintf("%6.1f volumes/s; CPU %.1f s of the sidecar, %.1f s of the API server; %d writes, %d of them to the journal; alone %s, a round trip %s",
		s.Throughput(), s.CPU.Sidecar.Seconds(), s.CPU.API.Seconds(), s.Writes.Journal+s.Writes.Volumes, s.Writes.Journal, inMilliseconds(s.Lone), inMilliseconds(s.RoundTrip))
}

// Pair is the same in both modes, one right after the other.
type Pair struct{ On, Off Sample }

func (p Pair) roundTrips() []time.Duration { return slices.Concat(p.On.RoundTrip, p.Off.RoundTrip) }

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
		extra := figures.Median(p.On.Lone) - figures.Median(p.Off.Lone)
		return float64(extra) / float64(figures.Median(p.roundTrips()))
	})
}

func (f *Figures) median(of func(Pair) float64) float64 { return figures.MedianOf(f.Pairs, of) }

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

// Table returns the figures as Markdown.
func (f *Figures) Table() string {
	pairs := figures.NewTable("pair", "volumes/s with", "without", "writes a volume with", "without", "lone claim with", "without", "a round trip")
	for n, pair := range f.Pairs {
		pairs.Row(strconv.Itoa(n+1),
			fmt.Sprintf("%.0f", pair.On.Throughput()), fmt.Sprintf("%.0f", pair.Off.Throughput()),
			fmt.Sprintf("%.3f", pair.On.WritesPerVolume()), fmt.Sprintf("%.3f", pair.Off.WritesPerVolume()),
			inMilliseconds(pair.On.Lone), inMilliseconds(pair.Off.Lone), inMilliseconds(pair.roundTrips()))
	}
	price := figures.NewTable("the journal's price, medians of the pairs", "", "at most")
	price.Row("extra writes a volume", fmt.Sprintf("%.3f", f.ExtraWrites()), MaxExtraWrites)
	price.Row("throughput lost", inPercent("%.1f", f.Loss()), inPercent("%.0f", MaxLoss))
	price.Row("processor time on top, sidecar and API server", inPercent("%.1f", f.ExtraCPU()))
	price.Row("a lone claim, in round trips", fmt.Sprintf("%.2f", f.RoundTrips()), MaxRoundTrips)
	return pairs.String() + "\n" + price.String()
}

// inMilliseconds shows the median of durations.
func inMilliseconds(durations []time.Duration) string {
	return fmt.Sprintf("%.1f ms", figures.Milliseconds(figures.Median(durations)))
}

// inPercent shows a part of a whole.
func inPercent(format string, part float64) string { return fmt.Sprintf(format+" %%", 100*part) }
