package journal

import (
	"testing"
)

// BenchmarkFill is the work of one claim of a burst, beyond the write.
func BenchmarkFill(b *testing.B) {
	p := newPacker(Installation{})
	const burst = 100
	var writes []*write
	for n := range burst {
		intent := intent(n)
		intent.Plans[0].Request.AccessibilityRequirements = zones("a", "b", "c")
		writes = append(writes, &write{intent: intent, done: make(chan error, 1)})
	}
	b.ReportAllocs()
	for b.Loop() {
		s, rest := fill(p, writes)
		if s == nil || len(rest) > 0 {
			b.Fatal("it is not filled")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/burst, "µs/claim")
}
