package protocol

import "testing"

// TestLongWays goes ways that are too long, and too many, to be searched.
func TestLongWays(t *testing.T) {
	budget := Budget{Faults: 20, Crashes: 6, Pauses: 4}
	for name, world := range map[string]World{
		"Delete":     {Patched: true, Classes: 4, Revoked: 3, Unfit: true, Budget: budget},
		"Retain":     {Retain: true, Classes: 4, Revoked: 3, Unfit: true, Mistakes: true, Budget: budget},
		"Local":      {Patched: true, Local: true, SameHandle: true, Budget: budget},
		"ByCall":     {Serial: ByCall, SameHandle: true, Classes: 2, Unfit: true, Lenient: true, Budget: budget},
		"Strangers":  {Patched: true, Classes: 2, Forged: 4, Restored: 3, Moved: true, Old: true, Lenient: true, Budget: budget},
		"Forgetting": {Classes: 20, Budget: Budget{Faults: 40, Crashes: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, stored, removed := New(Full(), world), 0, 0
			for seed := range uint64(1500) {
				result := Walk(m, seed, 300)
				if result.Fault != Fine {
					t.Fatalf("seed %d: %s", seed, result)
				}
				for _, move := range result.Trace {
					switch move.What {
					case "stores the PV":
						stored++
					case "DeleteVolume: is done":
						removed++
					}
				}
			}
			t.Logf("%d volumes stored, %d removed", stored, removed)
			if stored < 500 || removed < 50 {
				t.Errorf("%d volumes stored, %d removed: there is not enough of each", stored, removed)
			}
		})
	}
}
