package expand_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/expand"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
	"github.com/csi-provisioner/csi-provisioner/test/tables"
)

func pending() error  { return status.Error(codes.DeadlineExceeded, "it takes long") }
func final() error    { return status.Error(codes.Internal, "the pool is broken") }
func tooMuch() error  { return status.Error(codes.OutOfRange, "at most 6Gi") }
func occupied() error { return status.Error(codes.FailedPrecondition, "the volume is in use") }

// attempt reconciles with an error.
func (w *world) attempt() (controller.Result, error) {
	w.t.Helper()
	result, err := w.reconcile()
	if err == nil {
		w.t.Fatal("Reconcile: no error")
	}
	return result, err
}

func TestFailures(t *testing.T) {
	for name, test := range map[string]struct {
		err   error
		again []string // what the second attempt does
		want  []string
	}{
		// Nothing is written: it may still be under way.
		"pending": {pending(), []string{called, failed}, []string{w1, resizing, called, failed}},
		"final":   {final(), []string{w1, called, w5, failed}, []string{w1, resizing, called, w5, failed}},
		"short of resources, which may pass": {
			status.Error(codes.ResourceExhausted, "the pool is full"),
			[]string{called, failed}, []string{w1, resizing, called, failed},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.fail(test.err)
			w.start()
			result, err := w.attempt()
			w.expect(test.want...)
			if controller.IsTerminal(err) || result.RequeueAfter != 0 {
				t.Errorf("the error %v with %+v is not retried after a back-off", err, result)
			}
			if want := []controller.Dependency{controller.DriverReconnected()}; !slices.Equal(result.WaitFor, want) {
				t.Errorf("the claim waits for %v, want %v", result.WaitFor, want)
			}
			if want := status.Convert(test.err).Message(); !strings.Contains(w.said(), want) || strings.Contains(w.said(), "rpc error") {
				t.Errorf("the event says %q, want %q in it, without gRPC's words", w.said(), want)
			}
			// The Secret may be what is wrong.
			if want := []secrets.Ref{{Namespace: "default", Name: "credentials"}}; !slices.Equal(w.forgotten, want) {
				t.Errorf("the secrets %v are read anew, want %v", w.forgotten, want)
			}
			w.attempt()
			w.expect(test.again...)
			w.answer(7*gi, true)
			w.succeed()
			if describe(w.claim) != w2 {
				t.Errorf("in the end: %s, want %s", describe(w.claim), w2)
			}
		})
	}
}

func TestInfeasible(t *testing.T) {
	w := newWorld(t)
	w.fail(tooMuch())
	w.start()
	w.clock.SetTime(w.clock.Now().Add(time.Minute))
	result, err := w.attempt()
	w.expect(w1, resizing, called, w4, failed)
	if !controller.IsTerminal(err) || result.RequeueAfter != retryMax {
		t.Errorf("the error %v is retried after %s, want %s and no back-off", err, result.RequeueAfter, retryMax)
	}
	if !strings.Contains(w.said(), "at most 6Gi") || !strings.Contains(w.said(), retryMax.String()) {
		t.Errorf("the event says %q", w.said())
	}
	// Whatever else has the claim looked at does not shorten the pause, which
	// began with the answer; a new process does not begin it anew.
	w.sync()
	restarted := expand.New(w.deps, w.config)
	w.Controller = restarted
	w.clock.SetTime(w.clock.Now().Add(2 * time.Minute))
	if result := w.succeed(); result.RequeueAfter != retryMax-2*time.Minute {
		t.Errorf("after 2 of %s it is retried in %s", retryMax, result.RequeueAfter)
	}
	w.expect()
	w.clock.SetTime(w.clock.Now().Add(retryMax - 2*time.Minute))
	w.attempt()
	w.expect(w1, called, w4, failed)
}

// The process that has written down the answer had a clock that was ahead, or this one's
// was set back: the pause gets no longer, and has an end. After another answer it is as
// long as ever.
func TestInfeasibleWithAnotherClock(t *testing.T) {
	for _, ahead := range []time.Duration{time.Second, time.Hour} {
		w := newWorld(t)
		w.fail(tooMuch())
		w.start()
		w.attempt()
		w.sync()
		w.clock.SetTime(w.clock.Now().Add(-ahead))
		w.Controller = expand.New(w.deps, w.config)
		w.journal = nil
		if result := w.succeed(); result.RequeueAfter != retryMax {
			t.Errorf("%s ahead: it is retried in %s, want %s", ahead, result.RequeueAfter, retryMax)
		}
		w.clock.SetTime(w.clock.Now().Add(retryMax - time.Minute))
		if result := w.succeed(); result.RequeueAfter <= 0 || result.RequeueAfter > time.Minute+time.Second {
			t.Errorf("%s ahead: a minute before the end it is retried in %s", ahead, result.RequeueAfter)
		}
		w.expect()
		w.clock.SetTime(w.clock.Now().Add(time.Minute + time.Second))
		w.attempt()
		w.expect(w1, called, w4, failed)
		w.sync()
		w.clock.SetTime(w.clock.Now().Add(time.Minute))
		if result := w.succeed(); result.RequeueAfter != retryMax-time.Minute {
			t.Errorf("%s ahead: after another answer it is retried in %s", ahead, result.RequeueAfter)
		}
		w.claim = nil
		w.sync()
		w.succeed()
		if kept := tables.NotEmpty(w.Controller, "deps", "config"); len(kept) > 0 {
			t.Errorf("kept is %q", kept)
		}
	}
}

func TestInfeasibleThenLess(t *testing.T) {
	w := newWorld(t)
	w.claim.Spec.Resources.Requests = sized("100Gi")
	w.fail(tooMuch())
	w.start()
	w.attempt()
	w.request("7Gi")
	w.sync()
	w.answer(7*gi, true)
	w.journal = nil
	w.succeed()
	w.expect(w1, resizing, called, "volume 7Gi was 6Gi", w2, onNode)
}

// Nothing is written when the driver isn't called, as that would forget that the
// last call was final, and with it the way back to a smaller size.
func TestMissingSecret(t *testing.T) {
	w := newWorld(t)
	w.claim.Spec.Resources.Requests = sized("100Gi")
	w.fail(final())
	w.start()
	w.attempt()
	before := w.claim.DeepCopy()
	w.journal = nil

	w.secretErr = missing("secrets", "credentials")
	_, err := w.attempt()
	w.expect(failed)
	if controller.IsTerminal(err) || !strings.Contains(w.said(), "controllerExpandSecretRef") || !strings.Contains(w.said(), "credentials") {
		t.Errorf("the error is %v, the event says %q", err, w.said())
	}
	if w.claim.ResourceVersion != before.ResourceVersion {
		t.Errorf("the claim was %s and is %s", describe(before), describe(w.claim))
	}
	w.request("7Gi")
	w.sync()
	w.secretErr = nil
	w.answer(7*gi, true)
	w.succeed()
	w.expect(w1, resizing, called, "volume 7Gi was 6Gi", w2, onNode)
}

func TestMissingSecretOfAFirstAttempt(t *testing.T) {
	w := newWorld(t)
	w.secretErr = missing("secrets", "credentials")
	w.start()
	w.attempt()
	w.expect(failed)
	w.secretErr = nil
	w.succeed()
	w.expect(w1, resizing, called, "volume 7Gi was 6Gi", w2, onNode)
}

func TestReject(t *testing.T) {
	for name, change := range map[string]func(*world){
		"a driver that can't expand": func(w *world) { w.config.Capabilities = capability.Set{ControllerService: true} },
		"an empty handle":            func(w *world) { w.volume.Spec.CSI.VolumeHandle = "" },
		"strange access modes": func(w *world) {
			w.volume.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadOnlyMany, corev1.ReadWriteOnce}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			change(w)
			w.start()
			w.attempt()
			w.expect(failed)
		})
	}
}

func TestWrongAnswer(t *testing.T) {
	w := newWorld(t)
	w.answer(gi, true)
	w.start()
	w.attempt()
	w.expect(w1, resizing, called, w5, failed)
	if !strings.Contains(w.said(), "1073741824") {
		t.Errorf("the event says %q", w.said())
	}
}

func TestInUse(t *testing.T) {
	w := newWorld(t)
	w.fail(occupied())
	w.using = []string{"web-0", "web-1"}
	w.start()
	check := func(result controller.Result, err error) {
		t.Helper()
		want := []controller.Dependency{expand.PodEnded("team-a"), controller.Detached("pvc-1")}
		if !controller.IsTerminal(err) || !slices.Equal(result.WaitFor, want) || result.RequeueAfter != retryMax {
			t.Errorf("the result is %+v, %v: want it to wait for %v", result, err, want)
		}
		if !strings.Contains(w.said(), "web-0, web-1") {
			t.Errorf("the event says %q, not which pods use the volume", w.said())
		}
		if len(w.followed) == 0 || w.followed[0] != "team-a" {
			t.Errorf("the pods of %q are followed: nobody tells when they end", w.followed)
		}
		w.followed = nil
	}
	check(w.attempt())
	w.expect(w1, resizing, called, w5, failed)
	// Nothing but the pods is looked at while they are there.
	w.using = w.using[:2]
	check(w.attempt())
	w.expect(failed)
	w.using = nil
	w.answer(7*gi, true)
	w.succeed()
	w.expect(w1, called, "volume 7Gi was 6Gi", w2, onNode)
}

// The driver is believed once: it may well expand the volume next time.
func TestInUseIsForgotten(t *testing.T) {
	w := newWorld(t)
	w.fail(occupied())
	w.using = []string{"web-0"}
	w.start()
	w.attempt()
	w.using = nil
	w.answer(7*gi, false)
	w.succeed()
	w.request("8Gi")
	w.sync()
	w.using = []string{"web-0"}
	w.answer(8*gi, false)
	w.journal = nil
	w.succeed()
	if calls := w.calls(); calls != 1 {
		t.Errorf("the driver was called %d times for the next size", calls)
	}
}

func TestInUseByNoPod(t *testing.T) {
	w := newWorld(t)
	w.fail(occupied())
	w.start()
	_, err := w.attempt()
	w.expect(w1, resizing, called, w5, failed)
	if controller.IsTerminal(err) || !strings.Contains(w.said(), "the volume is in use") {
		t.Errorf("the error is %v, the event says %q", err, w.said())
	}
	w.attempt()
	w.expect(w1, called, w5, failed)
}

func TestInUseWithoutTheFlag(t *testing.T) {
	w := newWorld(t)
	w.config.HandleVolumeInUseError = false
	w.fail(occupied())
	w.using = []string{"web-0"}
	w.start()
	w.attempt()
	w.expect(w1, resizing, called, w5, failed)
	_, err := w.attempt()
	w.expect(w1, called, w5, failed)
	if controller.IsTerminal(err) || len(w.followed) != 0 {
		t.Errorf("the error is %v, pods followed %q", err, w.followed)
	}
}

// What can't be known is no reason to call a driver that has just refused.
func TestInUseWhenPodsAreNotTold(t *testing.T) {
	w := newWorld(t)
	w.fail(occupied())
	w.podsErr = status.Error(codes.Unknown, "no rights to list pods")
	w.start()
	for range 2 {
		if _, err := w.attempt(); controller.IsTerminal(err) || !strings.Contains(err.Error(), "no rights") {
			t.Errorf("the error is %v", err)
		}
	}
	if calls := w.calls(); calls != 1 {
		t.Errorf("the driver was called %d times", calls)
	}
}

func TestManyPods(t *testing.T) {
	for want, using := range map[string][]string{
		"pod a does":            {"a"},
		"pods a, b, c, d, e do": {"a", "b", "c", "d", "e"},
		"7 pods do":             {"a", "b", "c", "d", "e", "f", "g"},
	} {
		w := newWorld(t)
		w.fail(occupied())
		w.using = using
		w.start()
		w.attempt()
		if !strings.HasSuffix(w.said(), want) {
			t.Errorf("the event says %q, want %q at its end", w.said(), want)
		}
	}
}
