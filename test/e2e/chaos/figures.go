package chaos

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Figures are what came of all rounds with one program.
type Figures struct {
	Program  string
	Seed     uint64
	Rounds   int
	Asked    int
	Made     int
	Deaths   Deaths
	Troubles map[Kind]int
	Segments int
	Flaws    map[Flaw]int
	// Findings tell each breach, with its round.
	Findings []string
	Took     time.Duration
}

// Add adds what came of a round.
func (f *Figures) Add(r Result) {
	if f.Troubles == nil {
		f.Troubles, f.Flaws, f.Deaths.Failpoints = map[Kind]int{}, map[Flaw]int{}, map[string]int{}
	}
	f.Rounds++
	f.Asked += r.Asked
	f.Made += r.Made
	f.Segments += r.Segments
	f.Deaths.add(r.Deaths)
	for kind, count := range r.Troubles {
		f.Troubles[kind] += count
	}
	for _, breach := range r.Breaches {
		f.Flaws[breach.Flaw]++
		f.Findings = append(f.Findings, fmt.Sprintf("seed %d, round %d: %s (failpoints %v)", r.Plan.Seed, r.Plan.Round, breach, r.Plan.Lives))
	}
}

// Kills is how often a sidecar was killed.
func (f *Figures) Kills() int { return f.Deaths.Killed + f.Deaths.atFailpoints() }

// Sound tells whether nothing was wrong.
func (f *Figures) Sound() bool { return len(f.Findings) == 0 }

func (d *Deaths) add(more Deaths) {
	d.Killed += more.Killed
	d.Ended += more.Ended
	for point, count := range more.Failpoints {
		d.Failpoints[point] += count
	}
}

func (d *Deaths) atFailpoints() int {
	sum := 0
	for _, count := range d.Failpoints {
		sum += count
	}
	return sum
}

// Table writes the figures of several programs side by side, as Markdown.
func Table(all []*Figures) string {
	var table strings.Builder
	row := func(name string, value func(*Figures) any) {
		fmt.Fprintf(&table, "| %s |", name)
		for _, f := range all {
			fmt.Fprintf(&table, " %v |", value(f))
		}
		table.WriteString("\n")
	}
	row("", func(f *Figures) any { return f.Program })
	table.WriteString("|--|" + strings.Repeat("--:|", len(all)) + "\n")
	row("claims", func(f *Figures) any { return f.Asked })
	row("volumes that the driver has made", func(f *Figures) any { return f.Made })
	row("segments of the journal written", func(f *Figures) any { return f.Segments })
	row("rounds", func(f *Figures) any { return f.Rounds })
	row("minutes", func(f *Figures) any { return fmt.Sprintf("%.1f", f.Took.Minutes()) })
	row("sidecar killed at random moments", func(f *Figures) any { return f.Deaths.Killed })
	row("sidecar killed at failpoints", func(f *Figures) any { return f.Deaths.atFailpoints() })
	row("sidecar ended by itself", func(f *Figures) any { return f.Deaths.Ended })
	for _, kind := range Kinds()[1:] {
		row(string(kind), func(f *Figures) any { return f.Troubles[kind] })
	}
	for _, flaw := range Flaws() {
		row("**"+string(flaw)+"**", func(f *Figures) any { return f.Flaws[flaw] })
	}
	return table.String()
}

// Points writes how often the program died at each failpoint, as Markdown.
func (f *Figures) Points() string {
	var table strings.Builder
	table.WriteString("| call | killed before | killed after |\n|--|--:|--:|\n")
	for _, point := range Failpoints() {
		fmt.Fprintf(&table, "| %s | %d | %d |\n", point, f.Deaths.Failpoints["before:"+point], f.Deaths.Failpoints["after:"+point])
	}
	return table.String()
}

// JSON writes all figures for machines.
func JSON(all []*Figures) ([]byte, error) {
	content, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the figures: %w", err)
	}
	return append(content, '\n'), nil
}

// summary tells a round in a line.
func summary(r Result) string {
	flaws := map[Flaw]int{}
	for _, breach := range r.Breaches {
		flaws[breach.Flaw]++
	}
	wrong := "all well"
	if len(flaws) > 0 {
		var parts []string
		for _, flaw := range slices.Sorted(maps.Keys(flaws)) {
			parts = append(parts, fmt.Sprintf("%d %s", flaws[flaw], flaw))
		}
		wrong = strings.Join(parts, ", ")
	}
	return fmt.Sprintf("round %d: %d asked for, %d kills, %.0f s: %s", r.Plan.Round, r.Asked, r.Deaths.Killed+r.Deaths.atFailpoints(), r.Took.Seconds(), wrong)
}
