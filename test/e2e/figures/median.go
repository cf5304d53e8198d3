package figures

import (
	"slices"
	"time"
)

// Mebibyte is the unit of memory in tables.
const Mebibyte = 1 << 20

// Median returns the middle value, or the mean of the two in the middle; 0 of none.
func Median[T ~int64 | ~float64](values []T) T {
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

// MedianOf returns the median of what of returns for each item.
func MedianOf[I any](items []I, of func(I) float64) float64 {
	values := make([]float64, 0, len(items))
	for _, item := range items {
		values = append(values, of(item))
	}
	return Median(values)
}

// Milliseconds returns a duration in milliseconds.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
