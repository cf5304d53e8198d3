package modify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/modify"
)

// pause is how long a class rests that the driver has refused.
const pause = 5 * time.Minute

// world is what a story happens in: what is stored, and what the driver does. The
// process that decides keeps nothing but the plan of the call under way.
type world struct {
	t       testing.TB
	now     metav1.Time
	claim   *corev1.PersistentVolumeClaim
	volume  *corev1.PersistentVolume
	classes map[string]*storagev1.VolumeAttributesClass
	in      modify.Input
	plan    *modify.Plan
	// writes are those of the claim and the volume.
	writes int
}

func newWorld(t testing.TB) *world {
	in := situation()
	return &world{t: t, now: late(), claim: in.Claim, volume: in.Volume, classes: map[string]*storagev1.VolumeAttributesClass{}}
}

// decide is one reconciliation up to the call, and whether there is one.
func (w *world) decide() modify.Decision {
	in := situation()
	in.Claim, in.Volume, in.Now = w.claim, w.volume, w.now
	in.Class = w.classes[modify.Target(w.claim)]
	since, ok := modify.PauseSince(w.claim)
	in.Rested = !ok || w.now.Sub(since.Time) >= pause
	before := in.Claim.DeepCopy()
	decision := modify.Decide(in)
	if !equality.Semantic.DeepEqual(before, in.Claim) {
		w.t.Errorf("deciding has changed the input:\n%s", cmp.Diff(before, in.Claim))
	}
	w.store(decision.Claim)
	w.in, w.plan = in, decision.Plan
	return decision
}

func (w *world) store(claim *corev1.PersistentVolumeClaim) {
	if equality.Semantic.DeepEqual(w.claim, claim) {
		return
	}
	w.writes++
	w.claim = claim
}

func (w *world) stored() modify.Input {
	in := w.in
	in.Claim, in.Volume, in.Now = w.claim, w.volume, w.now
	return in
}

// succeed has the driver succeed; the process dies after so many writes.
func (w *world) succeed(writes int) {
	done := modify.Conclude(w.stored(), w.plan)
	if writes > 0 && !equality.Semantic.DeepEqual(w.volume, done.Volume) {
		w.writes++
		w.volume = done.Volume
	}
	if writes > 1 {
		w.store(done.Claim)
	}
	w.plan = nil
}

func (w *world) fail(failure modify.Failure) {
	w.store(modify.Failed(w.stored(), w.plan, failure))
	w.plan = nil
}

func (w *world) want(class string) {
	w.claim = w.claim.DeepCopy()
	w.claim.Spec.VolumeAttributesClassName = &class
}

func (w *world) make(name, driver string) {
	w.classes[name] = class(name)
	w.classes[name].CreationTimestamp = w.now
	w.classes[name].DriverName = driver
}

// state is the volume's class, the claim's, and its status.
func (w *world) state() string {
	name := func(name *string) string {
		if name == nil {
			return "-"
		}
		return *name
	}
	return fmt.Sprintf("volume=%s cur=%s %s", name(w.volume.Spec.VolumeAttributesClassName), name(w.claim.Status.CurrentVolumeAttributesClassName),
		strings.ReplaceAll(show(w.claim, metav1.Time{}), "*", ""))
}
