package protocol

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
)

// Fault is what can be wrong with a state.
type Fault string

// The faults.
const (
	Fine Fault = ""
	// KeptDeleted: a volume is deleted that the user has kept by deleting its
	// PersistentVolume.
	KeptDeleted Fault = "a volume that the user keeps is deleted"
	// UsedDeleted: a volume is deleted that a claim uses.
	UsedDeleted Fault = "the volume of a claim is deleted"
	// RetainedDeleted: a volume is deleted that its PersistentVolume retains.
	RetainedDeleted Fault = "a retained volume is deleted"
	// GivenAway: a PersistentVolume is stored for a volume that another one carries.
	GivenAway Fault = "a volume gets a second PV"
	// HandedOver: a claim gets data that it may no longer use.
	HandedOver Fault = "data is handed over whose grant is revoked"
	// MadeAgain: a volume is made that was deleted with its PersistentVolume.
	MadeAgain Fault = "a deleted volume is made again"
	// Hollow: a claim has a PersistentVolume without a volume.
	Hollow Fault = "the volume of a claim does not exist"
	// Leaked: nobody knows the volume.
	Leaked Fault = "a volume is left that no PV knows"
	// Dangling: a PersistentVolume is left without a volume.
	Dangling Fault = "a PV is left that has no volume"
	// RecordLeft: a record stays in the journal.
	RecordLeft Fault = "a record is left"
	// Starved: a claim gets no volume.
	Starved Fault = "a claim gets no volume"
	// TooLarge: there are more states than can be searched.
	TooLarge Fault = "there are too many states"
	// Restless: there is no way to an end.
	Restless Fault = "the work never ends"
)

// check returns what must not be, at any time.
func (s State) check() Fault {
	if s.Harm == Fine && s.PV.Handle != "" && s.Claim != Gone && s.PV.Handle != s.Volume.Handle {
		return Hollow
	}
	return s.Harm
}

// checkRest returns what must not be when nothing is due any more.
func (s State) checkRest() Fault {
	switch {
	case s.Volume.Handle != "" && s.Volume.Handle != s.PV.Handle && !s.Volume.Dropped:
		return Leaked
	case s.PV.Handle != "" && s.PV.Handle != s.Volume.Handle && !s.TooLate:
		return Dangling
	case slices.ContainsFunc(s.Records[:], func(r Record) bool { return !r.IsNone() && !r.waits() }):
		return RecordLeft
	case s.Claim == Unbound:
		return Starved
	}
	return Fine
}

// Result is what a search has found.
type Result struct {
	// Fault is the one that needs the fewest moves, if there is any.
	Fault Fault
	// Trace leads to it.
	Trace []Move
	// States counts those that were visited: all of them, without a fault.
	States int
	// Resting counts those in which nothing is due.
	Resting int
}

// String is the trace, a line for each move.
func (r Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, after %d moves (%d states visited)\n", r.Fault, len(r.Trace), r.States)
	for i, move := range r.Trace {
		who := [...]string{"", "A ", "B "}[move.Who]
		fmt.Fprintf(&b, "%3d. %-62s %s\n", i+1, who+move.What, move.To)
	}
	return b.String()
}

// Search visits every state that the model can reach, nearest first, and stops
// at the first fault that is not to be ignored. Without one it makes sure that from every
// state the work can end by what is due alone.
func Search(m Model, ignored ...Fault) Result {
	w := newSearch()
	w.visit(m.Initial(), -1)
	resting := []int32{}
	for at := int32(0); at < w.count; at++ {
		due := 0
		from := *w.state(at)
		if w.count > maxStates {
			return w.result(m, at, TooLarge)
		}
		if fault := from.check(); fault != Fine && !slices.Contains(ignored, fault) {
			return w.result(m, at, fault)
		}
		if from.Harm != Fine {
			resting = append(resting, at) // Ignored; there is nothing after it.
			continue
		}
		for _, move := range m.Moves(from) {
			to := w.visit(move.To, at)
			if move.Due {
				due++
				w.due = append(w.due, [2]int32{at, to})
			}
		}
		if due > 0 {
			continue
		}
		if fault := from.checkRest(); fault != Fine && !slices.Contains(ignored, fault) {
			return w.result(m, at, fault)
		}
		resting = append(resting, at)
	}
	if at, ok := w.restless(resting); ok {
		return w.result(m, at, Restless)
	}
	return Result{States: int(w.count), Resting: len(resting)}
}

// search is one under way. States have numbers, in the order of their discovery.
type search struct {
	// number finds a state by its hash. That of 128 bits is as good as the state: two of
	// a billion states have the same one with a probability of less than 10^-20.
	number map[[2]uint64]int32
	seeds  [2]maphash.Seed
	// states are in blocks, as they are many.
	states [][]State
	count  int32
	// parents are the states from which states were discovered.
	parents []int32
	// due are the moves that are due, from state to state.
	due [][2]int32
}

// maxStates bounds a search, to some gigabytes of memory.
const maxStates = 4_000_000

// block is the number of states in a block.
const block = 1 << 12

func newSearch() *search {
	return &search{number: map[[2]uint64]int32{}, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

func (w *search) state(number int32) *State { return &w.states[number/block][number%block] }

func (w *search) visit(s State, parent int32) int32 {
	hash := [2]uint64{maphash.Comparable(w.seeds[0], s), maphash.Comparable(w.seeds[1], s)}
	if number, ok := w.number[hash]; ok {
		return number
	}
	number := w.count
	w.number[hash] = number
	if number%block == 0 {
		w.states = append(w.states, make([]State, 0, block))
	}
	last := len(w.states) - 1
	w.states[last] = append(w.states[last], s)
	w.count++
	w.parents = append(w.parents, parent)
	return number
}

// restless returns the first state from which no resting one can be reached.
func (w *search) restless(resting []int32) (int32, bool) {
	first := make([]int32, w.count+1)
	for _, move := range w.due {
		first[move[1]+1]++
	}
	for i := range w.count {
		first[i+1] += first[i]
	}
	back, next := make([]int32, len(w.due)), append([]int32{}, first...)
	for _, move := range w.due {
		back[next[move[1]]] = move[0]
		next[move[1]]++
	}
	ends := make([]bool, w.count)
	for _, at := range resting {
		ends[at] = true
	}
	for todo := resting; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, from := range back[first[at]:first[at+1]] {
			if !ends[from] {
				ends[from] = true
				todo = append(todo, from)
			}
		}
	}
	for at, can := range ends {
		if !can {
			return int32(at), true
		}
	}
	return 0, false
}

// result retraces the way to a state.
func (w *search) result(m Model, at int32, fault Fault) Result {
	r := Result{Fault: fault, States: int(w.count)}
	for ; w.parents[at] >= 0; at = w.parents[at] {
		for _, move := range m.Moves(*w.state(w.parents[at])) {
			if move.To == *w.state(at) {
				r.Trace = append([]Move{move}, r.Trace...)
				break
			}
		}
	}
	return r
}
