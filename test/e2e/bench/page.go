package bench

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
)

const preface = `# Benchmarks

This page is made by ` + "`make bench`" + `; do not edit it. ` + "`make bench ROWS=backlog,nodes`" + ` measures some rows only.
[performance.md](performance.md) explains the figures.

This project runs with its default flags, and with the journal. The peers are
external-provisioner 6.3.0 and external-resizer 2.3.0, with
` + "`--kube-api-qps=10000 --kube-api-burst=20000`" + ` and 100 workers. Both are measured in turn on one
cluster, in which nothing else runs, with a driver that answers at once. Each cell is the median of
all rounds, with the least and the greatest value. Rates are taken from the first to the last request
in the API server's audit log. The CPU time and the memory are those of the sidecars' processes from
their start; where the peers need two programs, both count. The bare rate is that of a client that sends
100 requests at a time and does nothing else, measured before each round.
`

// page returns all results as Markdown.
func (b *Book) page() string {
	var text strings.Builder
	text.WriteString(preface)
	for _, r := range b.inOrder() {
		fmt.Fprintf(&text, "\n## %s\n\n%s\n", r.title, r.text)
		text.WriteString("\n" + b.Table(b.results[r.name]))
		for _, drawn := range plotted(r) {
			fmt.Fprintf(&text, "\n![%s](%s)\n", drawn.title(r), filepath.Join(filepath.Base(b.dir), drawn.file(r)))
		}
	}
	return text.String()
}

// Table returns a result as Markdown.
func (b *Book) Table(result Result) string {
	var text strings.Builder
	for _, r := range rows(fullScale()) {
		if r.name != result.Row {
			continue
		}
		for n, measured := range result.Steps {
			if measured.Title != "" {
				fmt.Fprintf(&text, "%d %s:\n\n", measured.Size, measured.Title)
			}
			text.WriteString(table(r, r.steps[n], measured) + "\n")
		}
	}
	fmt.Fprintf(&text, "`make bench ROWS=%s`, %d rounds, %s: %s.\n", result.Row, result.Rounds, result.Date, b.machine)
	return text.String()
}

func table(r row, at step, measured Step) string {
	t := figures.NewTable(r.title, Own, Peer+", tuned", "goal", "")
	for _, of := range r.shows {
		values := []any{measured.cell(Own, of), measured.cell(Peer, of)}
		for _, g := range at.goals {
			if g.of == of {
				text, met := g.judge(measured)
				values = append(values, text, met)
			}
		}
		t.Row(of.shown().title, values...)
	}
	return t.String()
}

// cell shows the median, with the least and the greatest value.
func (s Step) cell(contender string, of measure) string {
	if len(s.Samples[contender]) == 0 {
		return "not measured"
	}
	median, least, most := s.median(contender, of)
	format := of.shown().format
	middle, low, high := fmt.Sprintf(format, median), fmt.Sprintf(format, least), fmt.Sprintf(format, most)
	if low == high {
		return middle
	}
	return fmt.Sprintf("%s (%s to %s)", middle, low, high)
}

// judge tells the goal, and whether it is met.
func (g goal) judge(s Step) (text, met string) {
	own, _, _ := s.median(Own, g.of)
	peers, _, _ := s.median(Peer, g.of)
	show := func(value float64) string { return fmt.Sprintf(g.of.shown().format, value) }
	var ok bool
	switch {
	case g.timesPeer > 0:
		text, ok = fmt.Sprintf("≥ %g × the peers: %s", g.timesPeer, show(g.timesPeer*peers)), own >= g.timesPeer*peers
	case g.partOfPeer > 0:
		text, ok = fmt.Sprintf("≤ %g × the peers: %s", g.partOfPeer, show(g.partOfPeer*peers)), own <= g.partOfPeer*peers
	case g.atLeast > 0:
		text, ok = "≥ "+show(g.atLeast), own >= g.atLeast
	default:
		text, ok = "≤ "+show(g.atMost), own <= g.atMost
	}
	if ok {
		return text, "met"
	}
	return text, "not met"
}
