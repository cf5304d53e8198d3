package protocol

import (
	"flag"
	"fmt"
	"testing"
)

var deep = flag.Bool("deep", false, "search larger models, for minutes and with some GB of memory")

// worlds are those that the protocol is made for.
func worlds() map[string]World {
	list := map[string]World{
		"crashes":                 {Patched: true, Mended: true, Budget: Budget{Faults: 2, Crashes: 2}},
		"crashes, Retain":         {Retain: true, Mended: true, Budget: Budget{Faults: 2, Crashes: 2}},
		"crashes, same handle":    {Patched: true, SameHandle: true, Budget: Budget{Faults: 2, Crashes: 3}},
		"pauses":                  {Patched: true, Budget: Budget{Faults: 1, Pauses: 1}},
		"pauses, Retain":          {Retain: true, Mended: true, Budget: Budget{Faults: 1, Pauses: 1}},
		"pauses and crashes":      {Patched: true, Budget: Budget{Crashes: 1, Pauses: 1}},
		"pauses, changed class":   {Mended: true, Budget: Budget{Faults: 1, Pauses: 1}},
		"many errors, no crashes": {Patched: true, Mended: true, Budget: Budget{Faults: 4}},
	}
	if *deep {
		list["deep, crashes"] = World{Patched: true, Mended: true, Budget: Budget{Faults: 3, Crashes: 3}}
		list["deep, crashes, Retain"] = World{Retain: true, Mended: true, Budget: Budget{Faults: 3, Crashes: 3}}
		list["deep, pauses"] = World{Patched: true, Mended: true, Budget: Budget{Faults: 1, Crashes: 1, Pauses: 1}}
		list["deep, pauses, Retain"] = World{Retain: true, Mended: true, Budget: Budget{Faults: 1, Crashes: 1, Pauses: 1}}
	}
	return list
}

func TestNothingIsLost(t *testing.T) {
	for name, world := range worlds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := Search(Model{Full(), world})
			if result.Fault != Fine {
				t.Fatal(result)
			}
			t.Logf("%d states, %d of them at rest", result.States, result.Resting)
			if result.Resting < 2 {
				t.Error("the search has not got anywhere")
			}
		})
	}
}

// To read claim and PersistentVolume before every intent does for what is
// remembered of them, and for a fresh start.
func TestNothingIsLostWhoAlwaysAsks(t *testing.T) {
	asking := Full()
	asking.AlwaysAsk, asking.FreshStart, asking.Remember, asking.Expectation = true, false, false, false
	for _, world := range []World{
		{Patched: true, Budget: Budget{Faults: 1, Crashes: 1}},
		{Retain: true, Budget: Budget{Faults: 1, Crashes: 1}},
		{Patched: true, Budget: Budget{Pauses: 1}},
	} {
		t.Run(fmt.Sprintf("%+v", world), func(t *testing.T) {
			t.Parallel()
			if result := Search(Model{asking, world}); result.Fault != Fine {
				t.Fatal(result)
			}
		})
	}
}

// Without the journal, a volume is lost as external-provisioner loses it: made,
// and its claim deleted, while no process is there to remember it.
func TestWithoutTheJournalAVolumeLeaks(t *testing.T) {
	world := World{Budget: Budget{Crashes: 1}}
	protocol := Full()
	if result := Search(Model{protocol, world}); result.Fault != Fine {
		t.Fatal(result)
	}
	protocol.Journal = false
	result := Search(Model{protocol, world})
	t.Log(result)
	if result.Fault != Leaked {
		t.Errorf("found %q, want %q", result.Fault, Leaked)
	}
}

// A loss is a safeguard that is taken out, where, and what comes of it.
type loss struct {
	name string
	// with is what else differs from the full protocol, before and after.
	with func(*Safeguards)
	take func(*Safeguards)
	in   World
	want Fault
	// ignored are lesser faults that come of it, too.
	ignored []Fault
}

func losses() []loss {
	crash, fault, pause := Budget{Crashes: 1}, Budget{Faults: 1}, Budget{Pauses: 1}
	both := Budget{Faults: 1, Crashes: 1}
	return []loss{
		{name: "exact repeat", take: func(s *Safeguards) { s.ExactRepeat = false },
			in: World{Mended: true, Budget: crash}, want: Leaked},
		{name: "pending calls stay open", take: func(s *Safeguards) { s.PendingOpen = false },
			in: World{Budget: fault}, want: Leaked},
		{name: "ambiguous errors stay open", take: func(s *Safeguards) { s.AmbiguousOpen = false },
			in: World{Budget: fault}, want: Leaked},
		{name: "intents of uncertain writes go", take: func(s *Safeguards) { s.DropUncertain = false },
			in: World{Budget: fault}, want: MadeAgain},
		{name: "restored PV of a retained volume", take: func(s *Safeguards) { s.RestorePV = false },
			in: World{Retain: true, Budget: crash}, want: KeptDeleted},
		{name: "a PV that may be stored, refused", take: func(s *Safeguards) { s.KeepSent = false },
			in: World{Retain: true, Budget: both}, want: KeptDeleted},
		{name: "a PV that is stored, refused", take: func(s *Safeguards) { s.LookWhenRefused = false },
			in: World{Budget: Budget{Faults: 2}}, want: UsedDeleted},
		{name: "deletion waits for the journal", take: func(s *Safeguards) { s.DeletionWaits = false },
			in: World{Budget: crash}, want: MadeAgain},
		{name: "finalizer waits for the journal", take: func(s *Safeguards) { s.FinalizerWaits = false },
			in: World{Patched: true, Budget: crash}, want: KeptDeleted},
		{name: "memory of PVs that went", take: func(s *Safeguards) { s.Remember = false },
			in: World{Budget: Budget{}}, want: MadeAgain},
		{name: "memory of PVs that the user deleted", take: func(s *Safeguards) { s.Remember = false },
			in: World{Patched: true, Lenient: true, Budget: fault}, want: KeptDeleted},
		{name: "expectation of PVs", with: func(s *Safeguards) { s.Remember = false }, take: func(s *Safeguards) { s.Expectation = false },
			in: World{Patched: true, Lenient: true, Budget: fault}, want: RetainedDeleted, ignored: []Fault{KeptDeleted}},
		{name: "fresh start, deleted volume", take: func(s *Safeguards) { s.FreshStart = false },
			in: World{Budget: crash}, want: MadeAgain},
		{name: "fresh start, retained volume", take: func(s *Safeguards) { s.FreshStart = false },
			in: World{Retain: true, Budget: both}, want: KeptDeleted},
		{name: "live look for the PV", with: func(s *Safeguards) { s.AlwaysAsk, s.FreshStart, s.Remember = true, false, false },
			take: func(s *Safeguards) { s.LookForPV = false }, in: World{Patched: true, Budget: crash}, want: RetainedDeleted},
		{name: "fence, volumes", take: func(s *Safeguards) { s.Fence = false },
			in: World{Budget: pause}, want: Leaked},
		{name: "fence, data", take: func(s *Safeguards) { s.Fence = false },
			in: World{Patched: true, Lenient: true, Budget: pause}, want: RetainedDeleted, ignored: []Fault{IntentLeft, Leaked}},
		{name: "marks, for a driver that deletes what it returns",
			take: func(s *Safeguards) { s.MarkUseless = false }, in: World{Serial: ByCall, Budget: both}, want: Hollow},
		{name: "journal read again, for writes that are late",
			take: func(s *Safeguards) { s.ReadAgain = false }, in: World{LateWrites: true, Lenient: true, Budget: crash}, want: IntentLeft},
	}
}

func TestEverySafeguardIsNeeded(t *testing.T) {
	for _, loss := range losses() {
		t.Run(loss.name, func(t *testing.T) {
			t.Parallel()
			protocol := Full()
			if loss.with != nil {
				loss.with(&protocol)
			}
			if result := Search(Model{protocol, loss.in}, loss.ignored...); result.Fault != Fine {
				t.Fatalf("with the safeguard: %s", result)
			}
			loss.take(&protocol)
			result := Search(Model{protocol, loss.in}, loss.ignored...)
			t.Logf("without the safeguard: %s", result)
			if result.Fault != loss.want {
				t.Errorf("found %q, want %q", result.Fault, loss.want)
			}
		})
	}
}

// What these prevent, others prevent too, or it is not in the model.
func TestSomeSafeguardsAreForMoreThanTheModel(t *testing.T) {
	for name, take := range map[string]func(*Model){
		"comparing PVs, whose names might be somebody else's": func(m *Model) { m.Compare = false },
		"expectations, for who remembers":                     func(m *Model) { m.Expectation = false },
		"a live look for the PV, after a fresh start":         func(m *Model) { m.LookForPV = false },
		"deletion that waits, but for a volume made in vain":  func(m *Model) { m.DeletionWaits, m.Lenient = false, true },
	} {
		for _, in := range []World{
			{Patched: true, Mended: true, Budget: Budget{Faults: 1, Crashes: 2}},
			{Retain: true, SameHandle: true, Budget: Budget{Faults: 1, Crashes: 2}},
			{Patched: true, Budget: Budget{Pauses: 1}},
		} {
			t.Run(fmt.Sprintf("%s/%+v", name, in), func(t *testing.T) {
				t.Parallel()
				m := Model{Full(), in}
				take(&m)
				if result := Search(m); result.Fault != Fine {
					t.Error(result)
				}
			})
		}
	}
}

// Worlds in which no safeguard is of help: what is assumed is necessary.
func TestAssumptions(t *testing.T) {
	for name, c := range map[string]struct {
		in   World
		want Fault
	}{
		"a driver does one call for a volume at a time": {
			World{Serial: Never, Budget: Budget{Faults: 1}}, Leaked},
		"a PV is not stored after the user has changed and deleted it": {
			World{LateWrites: true, Lenient: true, Patched: true, Budget: Budget{Crashes: 1}}, RetainedDeleted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := Search(Model{Full(), c.in})
			t.Log(result)
			if result.Fault != c.want {
				t.Errorf("found %q, want %q", result.Fault, c.want)
			}
		})
	}
}

func TestDriversThatSerialiseByCallAreSafeWithMarks(t *testing.T) {
	for _, in := range []World{
		{Mended: true, Budget: Budget{Faults: 2, Crashes: 2}},
		{Retain: true, SameHandle: true, Budget: Budget{Faults: 2, Crashes: 2}},
		{Patched: true, SameHandle: true, Budget: Budget{Faults: 1, Pauses: 1}},
	} {
		in.Serial = ByCall
		t.Run(fmt.Sprintf("%+v", in), func(t *testing.T) {
			t.Parallel()
			if result := Search(Model{Full(), in}); result.Fault != Fine {
				t.Error(result)
			}
		})
	}
}

func TestRestlessStatesAreFound(t *testing.T) {
	// 0 goes to 1 and 2; 1 rests; 2 and 3 go to each other for ever.
	w := &walk{states: make([]State, 4), due: [][2]int32{{0, 1}, {0, 2}, {2, 3}, {3, 2}}}
	if at, ok := w.restless([]int32{1}); !ok || at != 2 {
		t.Errorf("found %d %v, want 2", at, ok)
	}
	w.due[3] = [2]int32{3, 0}
	if at, ok := w.restless([]int32{1}); ok {
		t.Errorf("found %d, though all can rest", at)
	}
}
