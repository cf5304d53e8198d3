package expand_test

import (
	"errors"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// labelled is a change by somebody else, which must neither be lost nor matter.
func labelled(meta *metav1.ObjectMeta) {
	metav1.SetMetaDataLabel(meta, "somebody", "else")
}

// disturbed has somebody else change both objects just before the n-th patch.
func (w *world) disturbed(n int) {
	w.atPatch = func(patch int) error {
		if patch == n {
			w.another(func(c *corev1.PersistentVolumeClaim) { labelled(&c.ObjectMeta) })
			w.anotherVolume(func(v *corev1.PersistentVolume) { labelled(&v.ObjectMeta) })
		}
		return nil
	}
}

func (w *world) checkLabels() {
	w.t.Helper()
	if w.claim.Labels["somebody"] != "else" || w.volume.Labels["somebody"] != "else" {
		w.t.Errorf("what somebody else has written is lost: %v, %v", w.claim.Labels, w.volume.Labels)
	}
}

// The expansion has not begun when the first write finds another claim than it
// was decided about.
func TestConflictBeforeTheCall(t *testing.T) {
	w := newWorld(t)
	w.disturbed(1)
	w.start()
	if _, err := w.attempt(); !apierrors.IsConflict(err) {
		t.Errorf("the error is %v", err)
	}
	w.expect()
	w.sync()
	w.succeed()
	w.expect(w1, resizing, called, "volume 7Gi was 6Gi", w2, onNode)
	w.checkLabels()
}

// What the driver has answered is written down all the same; it is not asked
// again.
func TestConflictAfterTheCall(t *testing.T) {
	for name, test := range map[string]struct {
		patch  int
		answer func(*world)
		want   []string
	}{
		"the volume's size":      {2, func(w *world) { w.answer(7*gi, true) }, []string{"volume 7Gi was 6Gi", w2, onNode}},
		"left to the node":       {3, func(w *world) { w.answer(7*gi, true) }, []string{"volume 7Gi was 6Gi", w2, onNode}},
		"the volume's last size": {2, func(w *world) { w.answer(7*gi, false) }, []string{"volume 7Gi", w3, succeeded}},
		"finished":               {3, func(w *world) { w.answer(7*gi, false) }, []string{"volume 7Gi", w3, succeeded}},
		"infeasible":             {2, func(w *world) { w.fail(tooMuch()) }, []string{w4, failed}},
		"final":                  {2, func(w *world) { w.fail(final()) }, []string{w5, failed}},
		"a wrong answer":         {2, func(w *world) { w.answer(gi, false) }, []string{w5, failed}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			test.answer(w)
			w.disturbed(test.patch)
			w.start()
			_, err := w.reconcile()
			w.expect(append([]string{w1, resizing, called}, test.want...)...)
			if apierrors.IsConflict(err) {
				t.Errorf("the error is %v", err)
			}
			w.checkLabels()
		})
	}
}

// An annotation that somebody else writes stays, and so does the one that is
// there already.
func TestConflictKeepsAnnotations(t *testing.T) {
	w := newWorld(t)
	w.volume.Annotations = map[string]string{"kept": "1", "changed": "1"}
	w.atPatch = func(patch int) error {
		if patch == 2 {
			w.anotherVolume(func(v *corev1.PersistentVolume) { v.Annotations = map[string]string{"kept": "1", "changed": "2"} })
		}
		return nil
	}
	w.start()
	w.succeed()
	if a := w.volume.Annotations; len(a) != 3 || a["kept"] != "1" || a["changed"] != "2" {
		t.Errorf("the annotations are %v", a)
	}
}

func TestConflictWhenUnannotating(t *testing.T) {
	w := newWorld(t)
	annotated(w)
	w.claim.Spec.Resources.Requests = sized("6Gi")
	w.disturbed(1)
	w.start()
	w.succeed()
	w.expect("volume 6Gi")
	w.checkLabels()
}

// Each external-resizer of a cluster takes the annotation off the volumes of all
// drivers. That it was first is no failure.
func TestUnannotatedBySomebodyElse(t *testing.T) {
	w := newWorld(t)
	annotated(w)
	w.atPatch = func(patch int) error {
		if patch == 1 {
			w.anotherVolume(func(v *corev1.PersistentVolume) { v.Annotations = nil })
		}
		return nil
	}
	w.start()
	w.succeed()
	w.expect(w1, resizing, called, "volume 7Gi was 6Gi", w2, onNode)
}

func TestConflictWhenBackfilling(t *testing.T) {
	w := newWorld(t)
	w.config.Options.BackfillExpandSecrets = true
	w.volume.Spec.CSI.ControllerExpandSecretRef = nil
	class(w, controllerSecret())
	w.atPatch = func(patch int) error {
		if patch == 1 {
			w.anotherVolume(func(v *corev1.PersistentVolume) { labelled(&v.ObjectMeta) })
		}
		return nil
	}
	w.start()
	w.succeed()
	w.expect("volume 6Gi", w1, resizing, called, "volume 7Gi was 6Gi", w2, onNode)
}

// It ends some time, also with somebody who writes all the time.
func TestConflictsWithoutEnd(t *testing.T) {
	for name, first := range map[string]int{"volume": 2, "claim": 3} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.atPatch = func(patch int) error {
				if patch >= first {
					return conflict("things", "thing")
				}
				return nil
			}
			w.start()
			if _, err := w.attempt(); !apierrors.IsConflict(err) {
				t.Errorf("the error is %v", err)
			}
			if calls := w.calls(); calls != 1 || w.patches > 10 {
				t.Errorf("%d calls and %d patches", calls, w.patches)
			}
		})
	}
}

// The claim that has taken its name while the driver was at work is another.
func TestClaimReplacedMeanwhile(t *testing.T) {
	for name, answer := range map[string]error{"expanded": nil, "final": final(), "infeasible": tooMuch()} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.expand = func(*csipb.ControllerExpandVolumeRequest) (*csipb.ControllerExpandVolumeResponse, error) {
				w.claim = newClaim()
				w.claim.UID, w.claim.ResourceVersion = "claim-2", w.next()
				return &csipb.ControllerExpandVolumeResponse{CapacityBytes: 7 * gi}, answer
			}
			w.start()
			w.attempt()
			if got, want := describe(w.claim), describe(newClaim()); got != want {
				t.Errorf("the new claim is %q, want %q", got, want)
			}
			w.sync()
			w.journal = nil
			w.succeed()
			w.expect()
		})
	}
}

// The user asks for less while the driver is at work: that is remembered, and the
// size that it works on is finished.
func TestLessIsAskedForMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.expand = func(*csipb.ControllerExpandVolumeRequest) (*csipb.ControllerExpandVolumeResponse, error) {
		w.request("6500Mi")
		return &csipb.ControllerExpandVolumeResponse{CapacityBytes: 7 * gi}, nil
	}
	w.start()
	w.succeed()
	w.expect(w1, resizing, called, "volume 7Gi", w3, succeeded)
}

func TestWritesThatFail(t *testing.T) {
	broken := errors.New("the API server is away")
	for name, test := range map[string]struct {
		patch int
		want  []string
		again []string
	}{
		"the beginning": {1, nil, []string{w1, resizing, called, "volume 7Gi was 6Gi", w2, onNode}},
		// The driver is idempotent, and is asked again for want of another memory.
		"the volume": {2, []string{w1, resizing, called, failed}, []string{called, "volume 7Gi was 6Gi", w2, onNode}},
		"the end":    {3, []string{w1, resizing, called, "volume 7Gi was 6Gi"}, []string{called, w2, onNode}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.atPatch = func(patch int) error {
				if patch == test.patch {
					return broken
				}
				return nil
			}
			w.start()
			if _, err := w.attempt(); !errors.Is(err, broken) {
				t.Errorf("the error is %v", err)
			}
			w.expect(test.want...)
			w.succeed()
			w.expect(test.again...)
		})
	}
}

// The driver's answer must not get lost with the write that failed.
func TestFailureThatCanNotBeWritten(t *testing.T) {
	w := newWorld(t)
	w.fail(final())
	w.atPatch = func(patch int) error {
		if patch == 2 {
			return errors.New("the API server is away")
		}
		return nil
	}
	w.start()
	w.attempt()
	w.expect(w1, resizing, called, failed)
	if !strings.Contains(w.said(), "the pool is broken") {
		t.Errorf("the event says %q", w.said())
	}
}

// The informers are late: the controller knows what it has written.
func TestStaleInformers(t *testing.T) {
	for name, node := range map[string]bool{"left to the node": true, "finished": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.answer(7*gi, node)
			w.start()
			w.succeed()
			w.journal = nil
			w.succeed()
			w.expect()
		})
	}
}

// But it knows no better than informers that show something newer.
func TestInformersThatAreAhead(t *testing.T) {
	w := newWorld(t).start()
	w.succeed()
	w.journal = nil
	w.another(func(c *corev1.PersistentVolumeClaim) {
		c.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: sized("7Gi"), AllocatedResources: sized("7Gi")}
		c.Spec.Resources.Requests = sized("8Gi")
	})
	w.sync()
	w.answer(8*gi, false)
	w.succeed()
	w.expect("volume 7Gi", "claim ControllerResizeInProgress 7Gi<8Gi [Resizing]", resizing,
		"expand handle to 8Gi with [password username]", "volume 8Gi", "claim  8Gi<8Gi [] whole", succeeded)
}

// What is remembered of a claim goes with it, whenever it goes: own writes, and
// that the driver called its volume in use.
func TestClaimDeleted(t *testing.T) {
	for name, prepare := range map[string]func(*world){
		"in use":           func(w *world) { w.fail(occupied()); w.using = []string{"web-0"} },
		"pending":          func(w *world) { w.fail(pending()) },
		"infeasible":       func(w *world) { w.fail(tooMuch()) },
		"left to the node": func(w *world) { w.answer(7*gi, true) },
		"finished":         func(w *world) { w.answer(7*gi, false) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			w.start()
			_, _ = w.reconcile()
			w.claim, w.journal = nil, nil
			w.sync()
			w.succeed()
			w.expect()
			// If it was still remembered, it would matter now.
			w.claim = newClaim()
			w.sync()
			w.using = []string{"web-0"}
			w.answer(7*gi, true)
			w.succeed()
			if calls := w.calls(); calls != 1 {
				t.Errorf("the driver was called %d times after the claim had been forgotten:\n%s", calls, strings.Join(w.journal, "\n"))
			}
		})
	}
}

func TestClaimGoneMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.expand = func(*csipb.ControllerExpandVolumeRequest) (*csipb.ControllerExpandVolumeResponse, error) {
		w.claim = nil
		return &csipb.ControllerExpandVolumeResponse{CapacityBytes: 7 * gi}, nil
	}
	w.start()
	if _, err := w.attempt(); !apierrors.IsNotFound(err) {
		t.Errorf("the error is %v", err)
	}
	w.sync()
	w.journal = nil
	w.succeed()
	w.expect()
}
