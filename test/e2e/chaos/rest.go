package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

const (
	// quiet is how long nobody must have done anything, while a sidecar is at work,
	// until what is wrong counts: much longer than programs wait between two tries.
	quiet = 15 * time.Second
	// binding is the same for what the controller manager has a part in, which may
	// take its time after the API server was away.
	binding = 90 * time.Second
	// stuck is how long the same must have been wrong until it counts although
	// somebody still tries to fix it.
	stuck = 3 * time.Minute
	// calm is how long nobody must have done anything when nothing is wrong: a sidecar
	// that has just begun may be about to do wrong.
	calm = time.Second
	// lookEvery is the time between two looks.
	lookEvery = 250 * time.Millisecond
)

// rest decides when things are at rest: a machine that is busy takes its time, which
// is no flaw.
type rest struct {
	wrong []Breach
	// changed is when something else was wrong for the last time, active when
	// somebody has done something, or no sidecar was at work.
	changed, active time.Time
	last            activity
}

// activity tells what has been done so far.
type activity struct {
	working bool
	// calls to the driver, and writes of the sidecar, are counted; objects are those
	// in the cluster with their versions.
	calls, writes int
	objects       string
}

// note takes what was seen, and tells whether it counts.
func (r *rest) note(now time.Time, wrong []Breach, seen activity) bool {
	if r.changed.IsZero() || !slices.Equal(wrong, r.wrong) {
		r.wrong, r.changed, r.active = wrong, now, now
	}
	if !seen.working || seen != r.last {
		r.last, r.active = seen, now
	}
	if len(wrong) == 0 {
		return now.Sub(r.active) > calm
	}
	return now.Sub(r.active) > patienceWith(wrong) || now.Sub(r.changed) > stuck
}

// patienceWith is how long nobody must have done anything about what is wrong.
func patienceWith(wrong []Breach) time.Duration {
	for _, breach := range wrong {
		if breach.Flaw == Unbound || breach.Flaw == Undeleted {
			return binding
		}
	}
	return quiet
}

// settle waits until nothing is wrong, or what is wrong stays as it is, and returns
// that. Before each look, tidy may do something about what was seen.
func (l *lane) settle(ctx context.Context, tidy func(context.Context, Observation)) ([]Breach, Observation, error) {
	var r rest
	failing := time.Now()
	for {
		seen, err := l.observe(ctx)
		if err == nil {
			failing = time.Now()
			breaches := Check(seen)
			over := r.note(time.Now(), breaches, l.activity(ctx, seen))
			if over && (len(breaches) > 0 || !tidied(seen, tidy)) {
				return breaches, seen, nil
			}
			if tidy != nil {
				tidy(ctx, seen)
			}
		}
		if time.Since(failing) > patience {
			return nil, seen, err
		}
		if !wait.Sleep(ctx, lookEvery) {
			return nil, seen, ctx.Err()
		}
	}
}

// activity looks at what has been done.
func (l *lane) activity(ctx context.Context, seen Observation) activity {
	a := activity{
		working: l.healthy.isWorking(),
		writes:  len(l.api.Writes(proxy.Match{Path: "/(persistentvolumes|persistentvolumeclaims|configmaps)"})),
	}
	// A driver that does not answer has done nothing.
	if calls, err := l.driver.Control.Calls(ctx, control.Filter{}); err == nil {
		a.calls = len(calls)
	}
	for _, claim := range seen.Claims {
		a.objects += fmt.Sprintln(claim.UID, claim.ResourceVersion)
	}
	for _, volume := range seen.PersistentVolumes {
		a.objects += fmt.Sprintln(volume.UID, volume.ResourceVersion)
	}
	return a
}

// tidied tells whether there is something left to tidy up.
func tidied(seen Observation, tidy func(context.Context, Observation)) bool {
	return tidy != nil && len(seen.Claims)+len(seen.PersistentVolumes)+len(seen.Volumes) > 0
}
