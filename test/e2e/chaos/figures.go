package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/faults"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/figures"
)

// Figures are what came of all rounds with one program.
type Figures struct {
	Program  string
	Seed     uint64
	Rounds   int
	Asked    int
	Made     int
	Deaths   Deaths
	Troubles map[faults.Kind]int
	// Intrusions are the records of each kind.
	Intrusions map[IntrusionKind]int
	Batches    int
	Flaws      map[Flaw]int
	// Findings tell each breach, with its round.
	Findings []string
	Took     time.Duration
}

// Add adds what came of a round.
func (f *Figures) Add(r Result) {
	if f.Troubles == nil {
		f.Troubles, f.Flaws, f.Deaths.Failpoints = map[faults.Kind]int{}, map[Flaw]int{}, map[string]int{}
		f.Intrusions = map[IntrusionKind]int{}
	}
	f.Rounds++
	f.Asked += r.Asked
	f.Made += r.Made
	f.Batches += r.Batches
	f.Deaths.add(r.Deaths)
	for kind, count := range r.Troubles {
		f.Troubles[kind] += count
	}
	for kind, count := range r.Intrusions {
		f.Intrusions[kind] += count
	}
	for _, breach := range r.Breaches {
		f.Flaws[breach.Flaw]++
		f.Findings = append(f.Findings, fmt.Sprintf("seed %d, round %d: %s (failpoints %v)", r.Plan.Seed, r.Plan.Round, breach, r.Plan.Lives))
	}
}

// Kills is how often a sidecar was killed.
func (f *Figures) Kills() int { return f.Deaths.Killed + f.Deaths.atFailpoints() }

// Sound reports whether nothing was wrong.
func (f *Figures) Sound() bool { return len(f.Findings) == 0 }

// isOwn reports whether the program is this project's.
func (f *Figures) isOwn() bool { return f.Program == ownName }

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

// All are the figures of several programs.
type All []*Figures

// Judge returns an error when anything was wrong with this project's program.
func (all All) Judge() error {
	for _, f := range all {
		if f.isOwn() && !f.Sound() {
			return fmt.Errorf("%s: %d flaws were found in %d rounds", f.Program, len(f.Findings), f.Rounds)
		}
	}
	return nil
}

// Table returns the figures side by side as Markdown, and for each program with
// failpoints how often it died at each of them.
func (all All) Table() string {
	titles := []string{""}
	for _, f := range all {
		titles = append(titles, f.Program)
	}
	table := figures.NewTable(titles...)
	row := func(name string, value func(*Figures) any) {
		var values []any
		for _, f := range all {
			values = append(values, value(f))
		}
		table.Row(name, values...)
	}
	row("claims", func(f *Figures) any { return f.Asked })
	row("volumes that the driver has made", func(f *Figures) any { return f.Made })
	row("batches of the journal written", func(f *Figures) any { return f.Batches })
	row("rounds", func(f *Figures) any { return f.Rounds })
	row("minutes", func(f *Figures) any { return fmt.Sprintf("%.1f", f.Took.Minutes()) })
	row("sidecar killed at random moments", func(f *Figures) any { return f.Deaths.Killed })
	row("sidecar killed at failpoints", func(f *Figures) any { return f.Deaths.atFailpoints() })
	row("sidecar ended by itself", func(f *Figures) any { return f.Deaths.Ended })
	for _, kind := range Kinds()[1:] {
		row(string(kind), func(f *Figures) any { return f.Troubles[kind] })
	}
	for _, kind := range Intrusions() {
		row(string(kind), func(f *Figures) any { return f.Intrusions[kind] })
	}
	for _, flaw := range Flaws() {
		row("**"+string(flaw)+"**", func(f *Figures) any { return f.Flaws[flaw] })
	}
	text := table.String()
	for _, f := range all {
		if f.isOwn() && f.Rounds > 0 {
			text += "\n" + f.points()
		}
	}
	return text
}

// points returns how often the program died at each failpoint, as Markdown.
func (f *Figures) points() string {
	table := figures.NewTable("call", "killed before", "killed after")
	for _, point := range Failpoints() {
		table.Row(point, f.Deaths.Failpoints["before:"+point], f.Deaths.Failpoints["after:"+point])
	}
	return table.String()
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
