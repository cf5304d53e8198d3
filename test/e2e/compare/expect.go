package compare

import (
	"fmt"
	"slices"
)

// Anything is what an expected difference says of a side whose value depends on
// chance.
const Anything = "(anything)"

// Expected is a difference that a row of docs/compatibility.md explains. It must
// occur exactly so.
type Expected struct {
	// Row is the row's name.
	Row string `json:"row"`
	// At is the place in the records.
	At string `json:"at"`
	// Own and Peer are the values: YAML, or "absent", or "(anything)".
	Own  any `json:"own"`
	Peer any `json:"peer"`
	// For are the keys of Scenario.Each to which this applies, all if empty.
	For []string `json:"for,omitempty"`
}

// explains tells whether the difference is the one expected.
func (e Expected) explains(d Difference) bool {
	return e.At == d.At && covers(e.Own, d.Own) && covers(e.Peer, d.Peer)
}

func covers(expected any, value string) bool {
	switch expected {
	case Anything:
		return value != absent
	case absent:
		return value == absent
	}
	return compact(expected) == value
}

// A Judgement is what became of the differences that were found and those that
// were expected.
type Judgement struct {
	// Explained counts the differences by row.
	Explained map[string]int
	// Unexplained are the differences that no row explains.
	Unexplained []Difference
	// Missing are the expected differences that did not occur, or whose row does
	// not exist.
	Missing []string
}

// Sound tells whether all is as expected.
func (j Judgement) Sound() bool { return len(j.Unexplained) == 0 && len(j.Missing) == 0 }

// Judge compares what was found with what is expected. The rows are those of
// docs/compatibility.md.
func Judge(found []Difference, expected []Expected, rows []string) Judgement {
	j := Judgement{Explained: map[string]int{}}
	occurred := make([]bool, len(expected))
	for _, difference := range found {
		n := slices.IndexFunc(expected, func(e Expected) bool { return e.explains(difference) })
		if n < 0 {
			j.Unexplained = append(j.Unexplained, difference)
			continue
		}
		occurred[n] = true
		j.Explained[expected[n].Row]++
	}
	for n, e := range expected {
		if !slices.Contains(rows, e.Row) {
			j.Missing = append(j.Missing, fmt.Sprintf("docs/compatibility.md has no row %q (difference at %s)", e.Row, e.At))
		}
		if !occurred[n] {
			j.Missing = append(j.Missing, fmt.Sprintf("the difference at %s that row %q explains did not occur", e.At, e.Row))
		}
	}
	return j
}
