package chaos

import (
	"testing"
	"time"
)

func TestRest(t *testing.T) {
	t.Parallel()
	lost, two := []Breach{{Flaw: Lost, Subject: "pvc-1"}}, []Breach{{Flaw: Lost, Subject: "pvc-1"}, {Flaw: Lost, Subject: "pvc-2"}}
	unbound := []Breach{{Flaw: Lost, Subject: "pvc-1"}, {Flaw: Unbound, Subject: "ns/claim"}}
	idle := activity{working: true, calls: 7}
	for name, c := range map[string]struct {
		// look is what is seen in each second.
		look func(second int) ([]Breach, activity)
		want int // the second in which it counts
	}{
		"nobody does anything":               {func(int) ([]Breach, activity) { return lost, idle }, 16},
		"the controller manager may be slow": {func(int) ([]Breach, activity) { return unbound, idle }, 91},
		"no sidecar is at work for a minute": {func(second int) ([]Breach, activity) {
			return lost, activity{working: second > 60, calls: 7}
		}, 61 + 16},
		"the driver is called": {func(second int) ([]Breach, activity) {
			return lost, activity{working: true, calls: min(second, 30)}
		}, 30 + 16},
		"objects change": {func(second int) ([]Breach, activity) {
			return lost, activity{working: true, objects: time.Duration(min(second, 30)).String()}
		}, 30 + 16},
		"something else is wrong": {func(second int) ([]Breach, activity) {
			if second < 20 && second%10 > 5 {
				return two, idle
			}
			return lost, idle
		}, 20 + 16},
		"it is tried again and again, in vain": {func(second int) ([]Breach, activity) {
			return lost, activity{working: true, writes: second}
		}, 181},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r rest
			begin := time.Unix(1_700_000_000, 0)
			for second := range 1000 {
				wrong, seen := c.look(second)
				if r.note(begin.Add(time.Duration(second)*time.Second), wrong, seen) {
					if second != c.want {
						t.Errorf("it counts after %d seconds, want %d", second, c.want)
					}
					return
				}
			}
			t.Error("it never counts")
		})
	}
}
