package modify_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
)

const (
	began  = `event: Normal VolumeModify Modifying volume "pv-1" to VolumeAttributesClass "gold" at CSI driver "block.csi.example"`
	ended  = `event: Normal VolumeModifySuccessful Modified volume "pv-1" to VolumeAttributesClass "gold"`
	called = "driver: vol-1 tier=gold with password,username"
	opened = "claim: cur=- InProgress=gold ModifyingVolume"
	closed = "claim: cur=gold"
)

// asking is a rig whose claim names a class that there is.
func asking(t testing.TB) *rig {
	r := newRig(t)
	r.make("gold", driverName)
	r.make("silver", driverName)
	r.want("gold")
	return r
}

// TestSuccess is three patches and two events, in the order that survives a
// crash.
func TestSuccess(t *testing.T) {
	r := asking(t)
	result, err := r.reconcile()
	if err != nil || !cmp.Equal(result, controller.Result{}) {
		t.Errorf("result %+v, %v", result, err)
	}
	sameLog(t, r, opened, began, called, "volume: gold", closed, ended)
	if result, err := r.reconcile(); err != nil || !cmp.Equal(result, controller.Result{}) {
		t.Errorf("result %+v, %v", result, err)
	}
	sameLog(t, r)
}

// TestRestarts breaks each request off in turn, and lets a new process go on. The
// user is told once that it begins and once that it has ended.
func TestRestarts(t *testing.T) {
	for _, at := range []struct {
		what string
		n    int
	}{{"secret", 0}, {"claim", 0}, {"driver", 0}, {"volume", 0}, {"claim", 1}} {
		t.Run(fmt.Sprint(at.what, " ", at.n), func(t *testing.T) {
			r := asking(t)
			r.fail = nth(at.what, at.n, errors.New("the process dies"))
			if _, err := r.reconcile(); err == nil {
				t.Fatal("no error")
			}
			r.restart(r.clock)
			if _, err := r.reconcile(); err != nil {
				t.Fatal(err)
			}
			if got := show(r.claim); got != "cur=gold" || *r.volume.Spec.VolumeAttributesClassName != "gold" {
				t.Errorf("the claim is %s", got)
			}
			if r.count(began) != 1 || r.count(ended) != 1 {
				t.Errorf("%d and %d events in %q", r.count(began), r.count(ended), r.log)
			}
		})
	}
}

// TestConflicts has somebody else change the object before each patch. Before the
// call, the next reconciliation begins anew; after it, the answer is written into
// what the object is now, and the driver not asked twice. No event tells of it.
func TestConflicts(t *testing.T) {
	for _, at := range []struct {
		what  string
		n     int
		again bool
	}{{"claim", 0, true}, {"volume", 0, false}, {"claim", 1, false}} {
		t.Run(fmt.Sprint(at.what, " ", at.n), func(t *testing.T) {
			r := asking(t)
			r.fail = nth(at.what, at.n, conflict())
			if _, err := r.reconcile(); (err != nil) != at.again || controller.IsTerminal(err) {
				t.Errorf("error %v", err)
			}
			if _, err := r.reconcile(); err != nil {
				t.Error(err)
			}
			if got := r.count("event"); got != 2 {
				t.Errorf("%d events in %q", got, r.log)
			}
			if got := r.count("driver"); got != 1 {
				t.Errorf("%d calls in %q", got, r.log)
			}
			if got := show(r.claim); got != "cur=gold" {
				t.Errorf("the claim is %s", got)
			}
		})
	}
}

// TestRefusedWrites tells of what the API server does not take.
func TestRefusedWrites(t *testing.T) {
	for name, test := range map[string]struct {
		what  string
		n     int
		event string
	}{
		"begin":  {"claim", 0, "event: Warning VolumeModifyFailed writing the claim's status: forbidden"},
		"volume": {"volume", 0, `event: Warning VolumeModifyFailed storing that volume "pv-1" is modified to VolumeAttributesClass "gold": forbidden`},
		"end":    {"claim", 1, `event: Warning VolumeModifyFailed storing that volume "pv-1" is modified to VolumeAttributesClass "gold": writing the claim's status: forbidden`},
	} {
		t.Run(name, func(t *testing.T) {
			r := asking(t)
			r.fail = nth(test.what, test.n, errors.New("forbidden"))
			if _, err := r.reconcile(); err == nil || controller.IsTerminal(err) {
				t.Errorf("error %v", err)
			}
			if r.count(test.event) != 1 {
				t.Errorf("no event %q in %q", test.event, r.log)
			}
		})
	}
}

// TestOthersWriteMeanwhile changes the objects while the driver is at work: what
// has come of the call is written over that, without a conflict.
func TestOthersWriteMeanwhile(t *testing.T) {
	r := asking(t)
	r.fail = func(what string, _ int) error {
		if what == "driver" {
			r.volume = r.volume.DeepCopy()
			r.volume.ResourceVersion, r.volume.Labels = r.next(), map[string]string{"a": "b"}
			r.change(func(claim *corev1.PersistentVolumeClaim) { claim.Labels = map[string]string{"a": "b"} })
		}
		return nil
	}
	if _, err := r.reconcile(); err != nil {
		t.Fatal(err)
	}
	sameLog(t, r, opened, began, called, "volume: gold", closed, ended)
	if r.claim.Labels["a"] != "b" || r.volume.Labels["a"] != "b" {
		t.Error("the other's write is lost")
	}
}

// TestAnotherClassMeanwhile brings the first modification to its end, and then
// begins the next.
func TestAnotherClassMeanwhile(t *testing.T) {
	r := asking(t)
	r.fail = func(what string, n int) error {
		if what == "driver" && n == 0 {
			r.want("silver")
		}
		return nil
	}
	if _, err := r.reconcile(); err != nil {
		t.Fatal(err)
	}
	sameLog(t, r, opened, began, called, "volume: gold", closed, ended,
		"claim: cur=gold InProgress=silver ModifyingVolume",
		`event: Normal VolumeModify Modifying volume "pv-1" to VolumeAttributesClass "silver" at CSI driver "block.csi.example"`,
		"driver: vol-1 tier=silver with password,username", "volume: silver", "claim: cur=silver",
		`event: Normal VolumeModifySuccessful Modified volume "pv-1" to VolumeAttributesClass "silver"`)
}

// TestGoneMeanwhile lets the claim, or the volume, disappear while the driver is
// at work.
func TestGoneMeanwhile(t *testing.T) {
	for name, test := range map[string]struct {
		remove func(r *rig)
		log    []string
	}{
		"claim": {func(r *rig) {
			_ = r.claims.Delete(r.claim)
			r.claim = r.claim.DeepCopy()
			r.claim.UID = "uid-9"
		}, []string{opened, began, called, "volume: gold", "claim: conflict"}},
		"volume": {func(r *rig) {
			_ = r.volumes.Delete(r.volume)
			r.volume = r.volume.DeepCopy()
			r.volume.UID = "uid-9"
		}, []string{opened, began, called, "volume: conflict"}},
		"volume, another in its place": {func(r *rig) {
			r.volume = r.volume.DeepCopy()
			r.volume.UID = "uid-9"
			r.put(r.volumes, r.volume)
		}, []string{opened, began, called, "volume: conflict"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := asking(t)
			r.lag = true
			r.fail = func(what string, _ int) error {
				if what == "driver" {
					test.remove(r)
				}
				return nil
			}
			if _, err := r.reconcile(); err == nil {
				t.Error("no error")
			}
			sameLog(t, r, test.log...)
		})
	}
}

// TestLock takes turns with whoever else changes the volume: before the driver is
// called, and as long as it works.
func TestLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := asking(t)
		lock := func() func() {
			unlock, err := r.locks.Lock(t.Context(), "uid-1")
			if err != nil {
				t.Error(err)
			}
			return unlock
		}
		unlock := lock()
		working, ended := make(chan struct{}), make(chan error, 1)
		r.fail = func(what string, _ int) error {
			if what == "driver" {
				<-working
			}
			return nil
		}
		go func() {
			_, err := r.reconcile()
			ended <- err
		}()
		synctest.Wait()
		sameLog(t, r)

		unlock()
		synctest.Wait()
		locked := make(chan struct{})
		go func() {
			lock()
			close(locked)
		}()
		synctest.Wait()
		select {
		case <-locked:
			t.Error("the lock is free while the driver works")
		default:
		}
		close(working)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		<-locked

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.subject.Reconcile(ctx, r.key()); !errors.Is(err, context.Canceled) {
			t.Errorf("waiting for the lock: %v", err)
		}
	})
}
