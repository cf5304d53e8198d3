package modify_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/modify"
)

// TestWalk lets users, classes, the driver and crashes do what they like, and
// compares with a driver that remembers what it was asked for: while it may be at
// a class, it must not be asked for another. In the end, when everything works,
// every claim gets what it asks for.
func TestWalk(t *testing.T) {
	for seed := range uint64(400) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(t)
			var log []string
			busy := ""
			for range 60 {
				step, class := walk(w, r, busy)
				log, busy = append(log, step), class
			}
			settle(w)
			if t.Failed() {
				t.Logf("the walk: %q", log)
			}
		})
	}
}

// walk takes a step, and returns it, and the class that the driver may be at.
func walk(w *world, r *rand.Rand, busy string) (step, nowBusy string) {
	class := []string{"bronze", "silver", "gold"}[r.IntN(3)]
	switch r.IntN(10) {
	case 0:
		if r.IntN(4) == 0 && w.claim.Status.CurrentVolumeAttributesClassName == nil {
			class = ""
		}
		w.want(class)
		return "user " + class, busy
	case 1:
		w.make(class, driver)
		return "class " + class, busy
	case 2:
		delete(w.classes, class)
		return "gone " + class, busy
	case 3:
		w.now = metav1.NewTime(w.now.Add(time.Duration(r.IntN(400)) * time.Second))
		return "wait", busy
	}
	d := w.decide()
	if d.Plan == nil {
		return verdicts()[d.Verdict], busy
	}
	if busy != "" && busy != d.Plan.Target {
		w.t.Errorf("the driver is asked for %s while it may be at %s", d.Plan.Target, busy)
	}
	step = "asked for " + d.Plan.Target
	switch r.IntN(6) {
	case 0:
		return step + ", dies", d.Plan.Target
	case 1:
		target := d.Plan.Target
		w.fail(modify.Failure{Outcome: modify.Unfinished, Code: "Aborted", Message: "busy"})
		return step + ", unfinished", target
	case 2:
		w.fail(modify.Failure{Outcome: modify.Final, Code: "Internal", Message: "broken"})
		return step + ", fails", ""
	case 3:
		w.fail(modify.Failure{Outcome: modify.Infeasible, Code: "InvalidArgument", Message: "no"})
		return step + ", refused", ""
	default:
		target, writes := d.Plan.Target, r.IntN(3)
		w.succeed(writes)
		if writes < 2 {
			// The claim knows nothing of it, so the driver must be asked again.
			return step + ", ok, dies", target
		}
		return step + ", ok", ""
	}
}

// settle lets everything work, and expects the claim to get what it asks for.
func settle(w *world) {
	for _, name := range []string{"bronze", "silver", "gold"} {
		w.make(name, driver)
	}
	w.now = metav1.NewTime(w.now.Add(2 * pause))
	calls := 0
	for range 6 {
		if w.decide().Plan != nil {
			calls++
			w.succeed(2)
		}
	}
	if calls > 2 {
		w.t.Errorf("the driver was called %d times", calls)
	}
	if got := w.decide().Verdict; got != modify.Skip {
		w.t.Errorf("there is still something to do: %s", verdicts()[got])
	}
	if show(w.claim, w.now) != "nothing" {
		w.t.Errorf("the claim still says %s", show(w.claim, w.now))
	}
	spec, current := w.claim.Spec.VolumeAttributesClassName, w.claim.Status.CurrentVolumeAttributesClassName
	if spec != nil && *spec != "" && (current == nil || *current != *spec) {
		w.t.Errorf("the claim asks for %v", *spec)
	}
	if current != nil && *w.volume.Spec.VolumeAttributesClassName != *current {
		w.t.Errorf("the claim has %s, the volume %s", *current, *w.volume.Spec.VolumeAttributesClassName)
	}
}
