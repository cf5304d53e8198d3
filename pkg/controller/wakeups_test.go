package controller

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzWakeups checks wakeups with a twin that searches plain lists. Each byte is
// a step: an operation (2 bits), a key (2 bits) and a set of four things (4 bits).
func FuzzWakeups(f *testing.F) {
	f.Add([]byte{0x00, 0x40, 0x80})
	f.Add([]byte{0x0f, 0x4f, 0x8f, 0x81, 0x0f, 0x81, 0x4f, 0x1f, 0x5f, 0x88})
	f.Add([]byte("some bytes that are not chosen with care, and some more of them: 0123456789"))
	things := []Dependency{{"Class", "a"}, {"Class", "b"}, {"Attachment", "a"}, {"", ""}}
	f.Fuzz(func(t *testing.T, steps []byte) {
		w := newWakeups[int]()
		running, wants := map[int][]Dependency{}, map[int][]Dependency{}
		for _, step := range steps {
			key := int(step>>4) & 3
			var chosen []Dependency
			for bit, thing := range things {
				if step&(1<<bit) != 0 {
					chosen = append(chosen, thing)
				}
			}
			_, busy := running[key]
			switch operation := step >> 6; {
			case operation == 0 && !busy:
				w.begin(key)
				running[key] = nil
				delete(wants, key)
			case operation == 1 && busy:
				missed := slices.ContainsFunc(chosen, func(d Dependency) bool { return slices.Contains(running[key], d) })
				if got := w.end(key, chosen); got != missed {
					t.Fatalf("end(%d, %v) = %t after %v", key, chosen, got, running[key])
				}
				delete(running, key)
				if !missed && len(chosen) > 0 {
					wants[key] = chosen
				}
			case operation >= 2:
				for _, d := range chosen {
					checkWake(t, w, d, running, wants)
				}
			}
		}
		for key := range running {
			w.end(key, nil)
		}
		for key := range 4 {
			w.begin(key)
			w.end(key, nil)
		}
		if n := w.size(); n != 0 {
			t.Errorf("%d entries are left behind", n)
		}
	})
}

func checkWake(t *testing.T, w *wakeups[int], d Dependency, running, wants map[int][]Dependency) {
	t.Helper()
	want := []int{}
	for key := range 4 {
		if slices.Contains(wants[key], d) {
			want = append(want, key)
			delete(wants, key)
		}
		if _, busy := running[key]; busy {
			running[key] = append(running[key], d)
		}
	}
	got := w.wake(d)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("wake(%v) (-want +got):\n%s", d, diff)
	}
}
