package figures

import (
	"bufio"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A Series is one series of a metric with its current value.
type Series struct {
	Labels map[string]string
	Value  float64
}

// longestLine bounds the lines of metrics, in bytes.
const longestLine = 1 << 20

// Metric returns all series of a metric in the text that a process serves at /metrics.
func Metric(text, name string) ([]Series, error) {
	line := regexp.MustCompile(`^` + regexp.QuoteMeta(name) + `(\{.*\})? (\S+)$`)
	label := regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)
	var all []Series
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), name) {
			continue
		}
		match := line.FindStringSubmatch(lines.Text())
		if match == nil {
			continue
		}
		value, err := strconv.ParseFloat(match[2], 64)
		if err != nil {
			return nil, fmt.Errorf("reading the metric %s: %q: %w", name, lines.Text(), err)
		}
		series := Series{Labels: map[string]string{}, Value: value}
		for _, pair := range label.FindAllStringSubmatch(match[1], -1) {
			series.Labels[pair[1]] = pair[2]
		}
		all = append(all, series)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the metric %s: %w", name, err)
	}
	return all, nil
}

// Gauge returns the value of a metric that has one series.
func Gauge(text, name string) (float64, error) {
	all, err := Metric(text, name)
	if err != nil {
		return 0, err
	}
	if len(all) != 1 {
		return 0, fmt.Errorf("reading the metric %s: it has %d series, want one", name, len(all))
	}
	return all[0].Value, nil
}
