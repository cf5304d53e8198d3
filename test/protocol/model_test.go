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
		"crashes":                 {Patched: true, Budget: Budget{Faults: 1, Crashes: 1}},
		"crashes, changed class":  {Classes: 1, Budget: Budget{Faults: 1, Crashes: 1}},
		"crashes, Retain":         {Retain: true, Classes: 1, Budget: Budget{Faults: 1, Crashes: 1}},
		"two crashes":             {Patched: true, Budget: Budget{Crashes: 2}},
		"two crashes, Retain":     {Retain: true, Classes: 1, Budget: Budget{Crashes: 2}},
		"crashes and errors":      {Budget: Budget{Faults: 2, Crashes: 1}},
		"crashes, same handle":    {Patched: true, SameHandle: true, Budget: Budget{Faults: 1, Crashes: 1}},
		"crashes, partial":        {Partial: true, Classes: 1, Budget: Budget{Faults: 1, Crashes: 1}},
		"pauses":                  {Patched: true, Budget: Budget{Pauses: 1}},
		"pauses and errors":       {Budget: Budget{Faults: 1, Pauses: 1}},
		"pauses, Retain":          {Retain: true, Budget: Budget{Faults: 1, Pauses: 1}},
		"many errors, no crashes": {Patched: true, Classes: 1, Budget: Budget{Faults: 2}},
		"many classes":            {Classes: 2, Budget: Budget{Faults: 2}},
		"full nodes":              {Local: true, Budget: Budget{Faults: 3}},
		"full nodes, crashes":     {Local: true, Budget: Budget{Faults: 1, Crashes: 1}},
		"revoked grants, errors":  {Revoked: 1, Budget: Budget{Faults: 2}},
		"revoked grants, crashes": {Revoked: 1, Budget: Budget{Crashes: 1}},
		"revoked grants, Retain":  {Revoked: 1, Retain: true, Budget: Budget{Faults: 1, Crashes: 1}},
		"volumes that are unfit":  {Unfit: true, Budget: Budget{Faults: 2, Crashes: 1}},
		"mistakes":                {Retain: true, Mistakes: true, Budget: Budget{Faults: 1, Crashes: 1}},
		"late records":            {LateRecords: true, Lenient: true, Classes: 1, Budget: Budget{Crashes: 2}},
		"late removals":           {LateRecords: true, Lenient: true, Unfit: true, Budget: Budget{Faults: 1, Crashes: 2}},
		"late records, Retain":    {LateRecords: true, Lenient: true, Retain: true, Budget: Budget{Faults: 1, Crashes: 1}},
		"forged records":          {Forged: 1, Lenient: true, Patched: true, Classes: 1, Budget: Budget{Crashes: 1}},
		"forged records, Retain":  {Forged: 1, Lenient: true, Retain: true, Mistakes: true, Budget: Budget{Crashes: 1}},
		"forged records, errors":  {Forged: 1, Lenient: true, Unfit: true, Budget: Budget{Faults: 1}},
		"restored records":        {Restored: 1, Moved: true, Patched: true, Old: true, Lenient: true, Budget: Budget{Crashes: 1}},
		"restored, Retain":        {Restored: 1, Moved: true, Retain: true, Old: true, Lenient: true, Budget: Budget{Crashes: 1}},
		"restored soon":           {Restored: 1, Classes: 1, Lenient: true, Budget: Budget{Crashes: 1}},
		"restored soon, errors":   {Restored: 1, Unfit: true, Lenient: true, Budget: Budget{Faults: 1, Crashes: 1}},
	}
	if *deep {
		list["deep, crashes"] = World{Patched: true, Classes: 1, Budget: Budget{Faults: 1, Crashes: 2}}
		list["deep, crashes, Retain"] = World{Retain: true, Classes: 1, Budget: Budget{Faults: 2, Crashes: 3}}
		list["deep, pauses"] = World{Patched: true, Budget: Budget{Faults: 1, Crashes: 1, Pauses: 1}}
		list["deep, pauses, Retain"] = World{Retain: true, Classes: 1, Budget: Budget{Faults: 1, Pauses: 1}}
	}
	return list
}

func TestNothingIsLost(t *testing.T) {
	for name, world := range worlds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := Search(New(Full(), world))
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

// Without the journal, a volume is lost as external-provisioner loses it: made,
// and its claim deleted, while no process is there to remember it.
func TestWithoutTheJournalAVolumeLeaks(t *testing.T) {
	world := World{Budget: Budget{Crashes: 1}}
	protocol := Full()
	if result := Search(New(protocol, world)); result.Fault != Fine {
		t.Fatal(result)
	}
	protocol.Journal = false
	result := Search(New(protocol, world))
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
	// What these prevent, the look for who carries a volume prevents, too.
	alone := func(s *Safeguards) { s.Holder = false }
	return []loss{
		{name: "exact repeat", take: func(s *Safeguards) { s.ExactRepeat = false },
			in: World{Classes: 1, Budget: crash}, want: Leaked},
		{name: "pending calls stay open", take: func(s *Safeguards) { s.PendingOpen = false },
			in: World{Budget: fault}, want: Leaked},
		{name: "internal errors stay open", take: func(s *Safeguards) { s.InternalOpen = false },
			in: World{Budget: fault}, want: Leaked},
		{name: "refusals stay open", take: func(s *Safeguards) { s.RefusalsOpen = false },
			in: World{Budget: Budget{Faults: 2}}, want: Leaked},
		{name: "full nodes stay open", take: func(s *Safeguards) { s.RefusalsOpen = false },
			in: World{Local: true, Budget: Budget{Faults: 2}}, want: Leaked},
		{name: "partial requests", take: func(s *Safeguards) { s.Inexact = false },
			in: World{Partial: true, Classes: 1, Budget: Budget{Faults: 1, Crashes: 1}}, want: Leaked},
		{name: "all records", take: func(s *Safeguards) { s.AllRecords = false },
			in: World{LateRecords: true, Lenient: true, Classes: 1, Budget: Budget{Crashes: 2}}, want: Leaked},
		{name: "requests of replaced records", take: func(s *Safeguards) { s.ReplacedRecords = false },
			in: World{LateRecords: true, Lenient: true, Classes: 1, Budget: Budget{Crashes: 2}}, want: Leaked},
		{name: "removals that records disagree about", take: func(s *Safeguards) { s.Inexact = false },
			in: World{LateRecords: true, Lenient: true, Unfit: true, Budget: Budget{Faults: 1, Crashes: 2}}, want: Leaked},
		{name: "recorded removals", take: func(s *Safeguards) { s.RecordedRemoval = false },
			in: World{Partial: true, Serial: ByCall, SameHandle: true, Budget: Budget{Faults: 1, Crashes: 1}}, want: Hollow},
		{name: "grants", take: func(s *Safeguards) { s.GrantsAgain = false },
			in: World{Revoked: 1}, want: HandedOver},
		{name: "a second look before a deletion", take: func(s *Safeguards) { s.LookAgain = false },
			in: World{Patched: true}, want: RetainedDeleted},
		{name: "records of uncertain writes go", take: func(s *Safeguards) { s.DropUncertain = false },
			in: World{Budget: fault}, want: MadeAgain},
		{name: "what may have been stored, after a crash", take: func(s *Safeguards) { s.RememberPast = false },
			in: World{Retain: true, Budget: crash}, want: KeptDeleted},
		{name: "what may have been stored, refused", with: alone, take: func(s *Safeguards) { s.RememberPast = false },
			in: World{Retain: true, Budget: Budget{Faults: 2}}, want: RetainedDeleted},
		{name: "a PV that is stored, refused", with: alone, take: func(s *Safeguards) { s.LookWhenRefused = false },
			in: World{Budget: Budget{Faults: 2}}, want: UsedDeleted},
		{name: "deletion waits for the journal", take: func(s *Safeguards) { s.DeletionWaits = false },
			in: World{Budget: crash}, want: MadeAgain},
		{name: "finalizer waits for the journal", take: func(s *Safeguards) { s.FinalizerWaits = false },
			in: World{Patched: true, Budget: crash}, want: KeptDeleted},
		{name: "memory of PVs that were stored", take: func(s *Safeguards) { s.Remember = false },
			in: World{}, want: MadeAgain},
		{name: "caches as new as the lease, deleted volume", take: func(s *Safeguards) { s.FreshStart = false },
			in: World{Budget: crash}, want: MadeAgain},
		{name: "caches as new as the lease, retained volume", with: alone, take: func(s *Safeguards) { s.FreshStart = false },
			in: World{Retain: true, Budget: both}, want: RetainedDeleted},
		{name: "live look for the PV", with: alone, take: func(s *Safeguards) { s.LookForPV = false },
			in: World{Patched: true, LateRecords: true, Lenient: true, Budget: crash}, want: RetainedDeleted, ignored: []Fault{KeptDeleted}},
		{name: "records of removals go first", take: func(s *Safeguards) { s.Settle = false },
			in: World{Unfit: true, SameHandle: true, Retain: true, Lenient: true, Budget: both}, want: KeptDeleted},
		{name: "fence, volumes", take: func(s *Safeguards) { s.Fence = false },
			in: World{Budget: pause}, want: Leaked},
		{name: "marks, for a driver that deletes what it returns",
			take: func(s *Safeguards) { s.MarkRemoval = false }, in: World{Serial: ByCall, Budget: both}, want: Hollow},
		{name: "signatures", take: func(s *Safeguards) { s.Signed = false },
			in: World{Forged: 1, Lenient: true, Patched: true}, want: KeptDeleted},
		{name: "what claims confirm is signed first", take: func(s *Safeguards) { s.SignAgain = false },
			in: World{Forged: 1, Lenient: true, Budget: crash}, want: Leaked},
		{name: "claims that confirm are there", take: func(s *Safeguards) { s.LookForClaim = false },
			in: World{Forged: 1, Lenient: true, Patched: true}, want: KeptDeleted},
		{name: "records of volumes that are stored", take: func(s *Safeguards) { s.Needless = false },
			in: World{Forged: 1, Lenient: true, Patched: true}, want: KeptDeleted},
		{name: "old records", take: func(s *Safeguards) { s.SetAside = false },
			in: World{Restored: 1, Old: true, Lenient: true, Patched: true, Budget: crash}, want: KeptDeleted},
		{name: "holders, forged records", with: func(s *Safeguards) { s.Signed = false }, take: func(s *Safeguards) { s.Holder = false },
			in: World{Forged: 1, Lenient: true, Moved: true, Patched: true}, want: RetainedDeleted, ignored: []Fault{KeptDeleted, GivenAway}},
		{name: "holders, restored records", with: func(s *Safeguards) { s.SetAside = false }, take: func(s *Safeguards) { s.Holder = false },
			in: World{Restored: 1, Old: true, Lenient: true, Moved: true, Patched: true}, want: RetainedDeleted, ignored: []Fault{KeptDeleted, GivenAway}},
		{name: "holders, a second PV", with: func(s *Safeguards) { s.SetAside = false }, take: func(s *Safeguards) { s.Holder = false },
			in: World{Restored: 1, Old: true, Lenient: true, Moved: true, Retain: true}, want: GivenAway},
		{name: "journal read again, for writes that are late",
			take: func(s *Safeguards) { s.ReadAgain = false }, in: World{LateRecords: true, LatePVs: true, Lenient: true, Budget: crash}, want: RecordLeft},
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
			if result := Search(New(protocol, loss.in), loss.ignored...); result.Fault != Fine {
				t.Fatalf("with the safeguard: %s", result)
			}
			loss.take(&protocol)
			result := Search(New(protocol, loss.in), loss.ignored...)
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
		"deletion that waits, but for a volume made in vain":  func(m *Model) { m.DeletionWaits, m.Lenient = false, true },
	} {
		for _, in := range []World{
			{Patched: true, Classes: 1, Budget: Budget{Faults: 1, Crashes: 1}},
			{Retain: true, SameHandle: true, Budget: Budget{Faults: 1, Crashes: 2}},
			{Patched: true, Budget: Budget{Pauses: 1}},
		} {
			t.Run(fmt.Sprintf("%s/%+v", name, in), func(t *testing.T) {
				t.Parallel()
				m := New(Full(), in)
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
			World{LatePVs: true, Lenient: true, Patched: true, Budget: Budget{Crashes: 1}}, KeptDeleted},
		"a backup is not restored within the limit, after the user has kept the volume": {
			World{Restored: 1, Lenient: true, Patched: true}, KeptDeleted},
		"the record of a removal is not stored after the user has kept the volume": {
			World{LateRecords: true, Lenient: true, Retain: true, Budget: Budget{Crashes: 2}}, KeptDeleted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := Search(New(Full(), c.in))
			t.Log(result)
			if result.Fault != c.want {
				t.Errorf("found %q, want %q", result.Fault, c.want)
			}
		})
	}
}

func TestDriversThatSerialiseByCallAreSafeWithMarks(t *testing.T) {
	for _, in := range []World{
		{Classes: 1, Budget: Budget{Faults: 1, Crashes: 2}},
		{Retain: true, SameHandle: true, Budget: Budget{Faults: 1, Crashes: 2}},
		{Patched: true, SameHandle: true, Budget: Budget{Faults: 1, Pauses: 1}},
	} {
		in.Serial = ByCall
		t.Run(fmt.Sprintf("%+v", in), func(t *testing.T) {
			t.Parallel()
			if result := Search(New(Full(), in)); result.Fault != Fine {
				t.Error(result)
			}
		})
	}
}

func TestRestlessStatesAreFound(t *testing.T) {
	// 0 goes to 1 and 2; 1 rests; 2 and 3 go to each other indefinitely.
	w := &search{count: 4, due: [][2]int32{{0, 1}, {0, 2}, {2, 3}, {3, 2}}}
	if at, ok := w.restless([]int32{1}); !ok || at != 2 {
		t.Errorf("found %d %v, want 2", at, ok)
	}
	w.due[3] = [2]int32{3, 0}
	if at, ok := w.restless([]int32{1}); ok {
		t.Errorf("found %d, though all can rest", at)
	}
}
