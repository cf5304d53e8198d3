package controller_test

import (
	"testing"
	"time"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/test/tables"
)

func TestRemaining(t *testing.T) {
	const pause = 5 * time.Minute
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for since, want := range map[time.Duration]time.Duration{
		0: pause, -time.Minute: 4 * time.Minute, -pause: 0, -time.Hour: pause - time.Hour,
		time.Second: pause, time.Hour: pause, 1000 * time.Hour: pause,
	} {
		if got := controller.Remaining(pause, now.Add(since), now); got != want {
			t.Errorf("since %s: %s are left, want %s", since, got, want)
		}
	}
}

// However clocks differ and jump, a pause takes no longer than twice its length: once for
// the time until the difference is seen.
func TestPausesHaveAnEnd(t *testing.T) {
	const pause, step = 5 * time.Minute, 30 * time.Second
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		ahead time.Duration                   // of the other clock
		jump  map[time.Duration]time.Duration // of the own one, after that time
		want  time.Duration
	}{
		"the same clock":              {0, nil, pause},
		"the other one is behind":     {-time.Minute, nil, pause - time.Minute},
		"the other one is ahead":      {time.Hour, nil, pause},
		"a little ahead":              {time.Minute, nil, pause + time.Minute},
		"far ahead":                   {1e6 * time.Hour, nil, pause},
		"the own one is set back":     {0, map[time.Duration]time.Duration{2 * time.Minute: -time.Hour}, 2*time.Minute + pause},
		"the own one is set forward":  {0, map[time.Duration]time.Duration{2 * time.Minute: time.Hour}, 2 * time.Minute},
		"ahead, and set back":         {time.Hour, map[time.Duration]time.Duration{2 * time.Minute: -time.Hour}, 2*time.Minute + pause},
		"ahead, and set right":        {time.Hour, map[time.Duration]time.Duration{2 * time.Minute: time.Hour}, 2*time.Minute + pause - 2*time.Minute},
		"set back and forth and back": {0, map[time.Duration]time.Duration{time.Minute: -time.Hour, 2 * time.Minute: time.Hour, 3 * time.Minute: -time.Hour}, 3*time.Minute + pause},
	} {
		t.Run(name, func(t *testing.T) {
			p := controller.NewPauses(pause)
			since, own := start.Add(c.ahead), start
			var took time.Duration
			for left := p.Left("a", since, own); left > 0; left = p.Left("a", since, own) {
				if left > pause {
					t.Fatalf("after %s, %s are left", took, left)
				}
				own, took = own.Add(step+c.jump[took+step]), took+step
				if took > time.Hour {
					t.Fatal("it has no end")
				}
			}
			if took != c.want || took > 2*pause {
				t.Errorf("it took %s, want %s", took, c.want)
			}
			p.Forget("a")
			if kept := tables.NotEmpty(p); len(kept) > 0 {
				t.Errorf("kept is %q", kept)
			}
		})
	}
}

// A later answer begins another pause, whatever was seen before.
func TestPausesBeginAgain(t *testing.T) {
	const pause = 5 * time.Minute
	p, now := controller.NewPauses(pause), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p.Left("a", now.Add(time.Hour), now)
	now = now.Add(pause)
	if left := p.Left("a", now.Add(time.Hour), now); left != pause {
		t.Errorf("another time that is ahead: %s are left", left)
	}
	if left := p.Left("a", now, now); left != pause || len(tables.NotEmpty(p)) > 0 {
		t.Errorf("a time that is not: %s are left, kept is %q", left, tables.NotEmpty(p))
	}
	if left := p.Left("b", now.Add(-time.Minute), now); left != pause-time.Minute {
		t.Errorf("another key: %s are left", left)
	}
}
