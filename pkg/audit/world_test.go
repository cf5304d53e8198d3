package audit_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/audit"
)

// world is a driver and a cluster in which volumes are made and deleted between
// any two things that the auditor reads, and between any two pages of a list.
type world struct {
	random     *rand.Rand
	telling    bool // handles show names
	made       int
	handles    map[string]bool // at the driver
	intents    map[string]audit.Intent
	persistent map[string]audit.PersistentVolume
	lives      []*life
	missed     map[string]bool // volumes that a list has missed once
}

// life is a volume on its way; next are its steps to come.
type life struct{ next []func() }

func newWorld(seed uint64) *world {
	w := &world{
		random:     rand.New(rand.NewPCG(seed, 1)),
		handles:    map[string]bool{},
		intents:    map[string]audit.Intent{},
		persistent: map[string]audit.PersistentVolume{},
		missed:     map[string]bool{},
	}
	w.telling = w.random.IntN(2) == 0
	// Some volumes are lost, and some PersistentVolumes have lost theirs.
	for n := range w.random.IntN(3) {
		w.handles[fmt.Sprint("lost-", n)] = true
	}
	for n := range w.random.IntN(3) {
		name := fmt.Sprint("orphan-", n)
		w.persistent[name] = pv(name, "gone-"+name)
	}
	for range w.random.IntN(60) {
		w.step()
	}
	return w
}

// step lets one thing happen.
func (w *world) step() {
	if len(w.lives) == 0 || w.random.IntN(8) == 0 {
		w.begin()
	}
	n := w.random.IntN(len(w.lives))
	next := w.lives[n].next
	next[0]()
	if w.lives[n].next = next[1:]; len(next) == 1 {
		w.lives = slices.Delete(w.lives, n, n+1)
	}
}

// begin lets a volume's life begin, in the order that the program keeps.
func (w *world) begin() {
	w.made++
	name := fmt.Sprint("pvc-", w.made, "-") // no name is a part of another
	handle := fmt.Sprint("vol-", w.random.Uint64())
	if w.telling {
		handle = "array:" + name
	}
	volume := pv(name, handle)
	volume.UID = types.UID(fmt.Sprint("uid-of-", name, w.random.Uint64()))
	steps := []func(){
		func() { w.intents[name] = intents(name)[0] },
		func() { w.handles[handle] = true },
	}
	end := func() { delete(w.intents, name) }
	vanish := func() { delete(w.handles, handle) }
	idle := func() {}
	if w.random.IntN(3) == 0 { // the claim goes while the volume is made
		steps = append(steps, idle, vanish, end)
	} else {
		steps = append(steps,
			func() { w.persistent[name] = volume },
			idle, end, idle,
			func() { w.persistent[name] = deleting(volume) },
			vanish,
			func() { delete(w.persistent, name) })
	}
	w.lives = append(w.lives, &life{steps})
}

func (w *world) pass() {
	for range w.random.IntN(6) {
		w.step()
	}
}

// List lists the volumes by pages of one, in an order that is the driver's.
func (w *world) List(context.Context) ([]*csipb.Volume, error) {
	var all []*csipb.Volume
	w.pass()
	for token := ""; ; {
		var rest []string
		for handle := range w.handles {
			if handle > token {
				rest = append(rest, handle)
			}
		}
		if len(rest) == 0 {
			return all, nil
		}
		token = slices.Min(rest)
		// A volume may be missing that exists all the time.
		if w.random.IntN(10) == 0 && !w.missed[token] {
			w.missed[token] = true
		} else {
			all = append(all, &csipb.Volume{VolumeId: token})
		}
		if w.random.IntN(2) == 0 {
			w.step()
		}
	}
}

type worldIntents struct{ *world }

func (w worldIntents) List(context.Context) (audit.Records, error) {
	w.pass()
	defer w.pass()
	return audit.Records{Intents: slices.Collect(maps.Values(w.intents))}, nil
}

type worldPersistent struct{ *world }

func (w worldPersistent) List(context.Context) ([]audit.PersistentVolume, error) {
	w.pass()
	defer w.pass()
	return slices.Collect(maps.Values(w.persistent)), nil
}

// TestNothingUnderWayIsReported: whatever is made and deleted while an audit
// runs, unknown is only what was lost, and gone only what has gone.
func TestNothingUnderWayIsReported(t *testing.T) {
	unclear, unknown, gone, inCreation := 0, 0, 0, 0
	for seed := range uint64(20000) {
		w := newWorld(seed)
		auditor := audit.Auditor{Driver: "d", Volumes: w, PersistentVolumes: worldPersistent{w}, Intents: worldIntents{w}, Clock: clock.RealClock{}}
		report, err := auditor.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.check(t, seed, report)
		if t.Failed() {
			return
		}
		unclear += report.Summary.Unclear
		unknown += report.Summary.Unknown
		gone += report.Summary.Gone
		inCreation += report.Summary.InCreation
	}
	if unclear == 0 || unknown == 0 || gone == 0 || inCreation == 0 {
		t.Errorf("the stories were poor: %d unclear, %d unknown, %d gone, %d in creation", unclear, unknown, gone, inCreation)
	}
}

func (w *world) check(t *testing.T, seed uint64, report *audit.Report) {
	t.Helper()
	lost := 0
	for handle := range w.handles {
		if strings.HasPrefix(handle, "lost-") {
			lost++
		}
	}
	reported := map[string]audit.State{}
	for _, finding := range report.Volumes {
		reported[finding.VolumeHandle] = finding.State
		if finding.State == audit.Unknown && !strings.HasPrefix(finding.VolumeHandle, "lost-") {
			t.Errorf("seed %d: volume %s is reported as unknown", seed, finding.VolumeHandle)
		}
		if finding.State == audit.Gone && !strings.HasPrefix(finding.VolumeHandle, "gone-") {
			t.Errorf("seed %d: volume %s is reported as gone", seed, finding.VolumeHandle)
		}
	}
	if report.Summary.UnknownAtLeast > lost {
		t.Errorf("seed %d: %d volumes are said to be unknown for certain, and %d are lost", seed, report.Summary.UnknownAtLeast, lost)
	}
	for name := range w.persistent {
		if state := reported["gone-"+name]; strings.HasPrefix(name, "orphan-") && state != audit.Gone {
			t.Errorf("seed %d: PersistentVolume %s whose volume is gone is reported as %q", seed, name, state)
		}
	}
	for handle := range w.handles {
		if state := reported[handle]; strings.HasPrefix(handle, "lost-") && !w.missed[handle] && state != audit.Unknown && state != audit.Unclear {
			t.Errorf("seed %d: lost volume %s is reported as %q", seed, handle, state)
		}
	}
}
