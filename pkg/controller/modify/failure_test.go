package modify_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/modify"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/test/tables"
)

// TestOutcomes has the driver fail with every code.
func TestOutcomes(t *testing.T) {
	const (
		unfinished = "InProgress=gold ModifyingVolume ModifyVolumeError="
		final      = "InProgress=gold ModifyingVolume=WaitingForRetry ModifyVolumeError="
		infeasible = "Infeasible=gold ModifyingVolume=WaitingForRetry ModifyVolumeError="
	)
	for code, want := range map[codes.Code]string{
		codes.Canceled: unfinished, codes.DeadlineExceeded: unfinished, codes.Unavailable: unfinished,
		codes.Aborted: unfinished, codes.ResourceExhausted: unfinished,
		codes.InvalidArgument: infeasible,
		codes.Unknown:         final, codes.NotFound: final, codes.AlreadyExists: final, codes.PermissionDenied: final,
		codes.FailedPrecondition: final, codes.OutOfRange: final, codes.Unimplemented: final, codes.Internal: final,
		codes.DataLoss: final, codes.Unauthenticated: final,
	} {
		t.Run(code.String(), func(t *testing.T) {
			r := asking(t)
			r.fail = nth("driver", 0, status.Error(code, "out: of order"))
			result, err := r.reconcile()
			wait := controller.Result{WaitFor: []controller.Dependency{controller.AttributesClassChanged("gold"), controller.DriverReconnected()}}
			if want == infeasible {
				wait.RequeueAfter = pause
			}
			if diff := cmp.Diff(wait, result); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if err == nil || controller.IsTerminal(err) != (want == infeasible) {
				t.Errorf("error %v", err)
			}
			if got := show(r.claim); got != "cur=- "+want+code.String() {
				t.Errorf("the claim is %s", got)
			}
			failing := r.claim.Status.Conditions[1]
			if failing.Message != "out: of order" {
				t.Errorf("the message is %q", failing.Message)
			}
			event := "event: Warning VolumeModifyFailed modifying volume \"pv-1\" to VolumeAttributesClass \"gold\" at CSI driver \"block.csi.example\": " + code.String() + ": out: of order"
			switch want {
			case unfinished:
				event += " (the driver may still be at it, so no other class is tried before it says that it is not)"
			case infeasible:
				event += " (the driver calls the class invalid for the volume, so it is tried again in 5m0s only, or when the claim names another class)"
			}
			sameLog(t, r, opened, began, called, "secret: storage/admin forgotten", event, "claim: "+show(r.claim))
		})
	}
}

// TestRetries has the driver fail for a while: each outcome costs as many writes
// as it must, and the user is told once that it begins.
func TestRetries(t *testing.T) {
	for name, test := range map[string]struct {
		code          codes.Code
		claimWrites   int
		failureEvents int
	}{
		"unfinished": {codes.Aborted, 3, 3},
		"final":      {codes.Internal, 8, 3},
		"infeasible": {codes.InvalidArgument, 8, 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := asking(t)
			r.fail = func(what string, n int) error {
				if what == "driver" && n < 3 {
					return status.Error(test.code, "out of order")
				}
				return nil
			}
			for range 3 {
				if _, err := r.reconcile(); err == nil {
					t.Error("no error")
				}
				r.clock.Step(pause)
			}
			if _, err := r.reconcile(); err != nil {
				t.Error(err)
			}
			if got := r.count("claim"); got != test.claimWrites {
				t.Errorf("%d writes in %q", got, r.log)
			}
			if got := r.count("event: Warning VolumeModifyFailed"); got != test.failureEvents {
				t.Errorf("%d failures in %q", got, r.log)
			}
			if r.count(began) != 1 || r.count(ended) != 1 || r.count("volume") != 1 {
				t.Errorf("what happened: %q", r.log)
			}
		})
	}
}

// TestFailureConflict can't write what has come of a call, however often it is
// tried: the event tells of the call, and of that once.
func TestFailureConflict(t *testing.T) {
	for name, code := range map[string]codes.Code{"unfinished": codes.Aborted, "final": codes.Internal, "infeasible": codes.InvalidArgument} {
		t.Run(name, func(t *testing.T) {
			r := asking(t)
			r.fail = func(what string, n int) error {
				if what == "driver" {
					return status.Error(code, "out of order")
				}
				if what == "claim" && n > 0 {
					return conflict()
				}
				return nil
			}
			result, err := r.reconcile()
			if err == nil || controller.IsTerminal(err) || result.RequeueAfter != 0 {
				t.Errorf("result %+v, %v", result, err)
			}
			if got := r.count("event"); got != 2 {
				t.Errorf("%d events in %q", got, r.log)
			}
			if got := show(r.claim); got != "cur=- InProgress=gold ModifyingVolume" {
				t.Errorf("the claim is %s", got)
			}
		})
	}
}

// TestInfeasibleMeanwhileAnother does not rest when the claim names another class
// by then.
func TestInfeasibleMeanwhileAnother(t *testing.T) {
	r := asking(t)
	r.fail = func(what string, n int) error {
		if what == "driver" && n == 0 {
			r.want("silver")
			return status.Error(codes.InvalidArgument, "no such tier")
		}
		return nil
	}
	if result, err := r.reconcile(); err == nil || controller.IsTerminal(err) || result.RequeueAfter != 0 {
		t.Errorf("result %+v, %v", result, err)
	}
	if _, err := r.reconcile(); err != nil {
		t.Error(err)
	}
	if got := show(r.claim); got != "cur=silver" {
		t.Errorf("the claim is %s", got)
	}
}

// TestPause rests for the rest of the pause, also after a restart, and when the
// clock was set back.
func TestPause(t *testing.T) {
	r := asking(t)
	r.fail = nth("driver", 0, status.Error(codes.InvalidArgument, "no such tier"))
	if _, err := r.reconcile(); err == nil {
		t.Fatal("no error")
	}
	r.taken()
	for _, test := range []struct{ step, want time.Duration }{{time.Minute, pause - time.Minute}, {-time.Hour, pause}, {time.Hour, pause - time.Minute}} {
		r.clock.SetTime(r.clock.Now().Add(test.step))
		r.restart(r.clock)
		result, err := r.reconcile()
		want := controller.Result{RequeueAfter: test.want, WaitFor: []controller.Dependency{controller.AttributesClassChanged("gold")}}
		if err != nil || !cmp.Equal(result, want) {
			t.Errorf("after %s: %+v, %v, want %+v", test.step, result, err, want)
		}
	}
	sameLog(t, r)
	r.clock.Step(pause - time.Minute)
	if _, err := r.reconcile(); err != nil {
		t.Fatal(err)
	}
	sameLog(t, r, "claim: cur=- InProgress=gold ModifyingVolume ModifyVolumeError=InvalidArgument", called, "volume: gold", closed, ended)
}

// TestPauseWithAnotherClock has an end to a pause that another clock has begun, which is
// ahead; after another answer it is as long as ever.
func TestPauseWithAnotherClock(t *testing.T) {
	r := asking(t)
	r.fail = func(what string, _ int) error {
		if what == "driver" {
			return status.Error(codes.InvalidArgument, "no such tier")
		}
		return nil
	}
	_, _ = r.reconcile()
	r.clock.SetTime(r.clock.Now().Add(-time.Hour))
	r.restart(r.clock)
	for _, want := range []time.Duration{pause, pause - time.Minute} {
		if result, err := r.reconcile(); err != nil || result.RequeueAfter != want {
			t.Errorf("result %+v, %v, want %s", result, err, want)
		}
		r.clock.Step(time.Minute)
	}
	r.taken()
	r.clock.Step(pause - 2*time.Minute)
	if _, err := r.reconcile(); !controller.IsTerminal(err) || r.count("driver") != 1 {
		t.Errorf("%v: %q", err, r.log)
	}
	r.clock.Step(time.Minute)
	if result, err := r.reconcile(); err != nil || result.RequeueAfter != pause-time.Minute {
		t.Errorf("after another answer: result %+v, %v", result, err)
	}
	claim := r.claim
	r.drop(r.claims, claim)
	r.subject.ClaimShown(claim)
	_, _ = r.reconcile()
	if kept := tables.NotEmpty(r.subject, "deps", "config"); len(kept) > 0 {
		t.Errorf("kept is %q", kept)
	}
}

// TestNotAsked has the call end before it reaches the driver.
func TestNotAsked(t *testing.T) {
	for name, err := range map[string]error{
		"stopping": csi.ErrStopping, "context": context.Canceled, "wrapped": fmt.Errorf("waiting: %w", context.DeadlineExceeded),
	} {
		t.Run(name, func(t *testing.T) {
			r := asking(t)
			r.fail = nth("driver", 0, err)
			if _, got := r.reconcile(); !errors.Is(got, err) || controller.IsTerminal(got) {
				t.Errorf("error %v", got)
			}
			sameLog(t, r, opened, began, called, "secret: storage/admin forgotten")
		})
	}
}

// TestSecretMissing says so, and binds the claim to nothing.
func TestSecretMissing(t *testing.T) {
	r := asking(t)
	r.fail = nth("secret", 0, errors.New(`reading Secret "storage/admin": it does not exist`))
	result, err := r.reconcile()
	if err == nil || controller.IsTerminal(err) || len(result.WaitFor) != 2 {
		t.Errorf("result %+v, %v", result, err)
	}
	sameLog(t, r, `event: Warning VolumeModifyFailed getting the secret for ControllerModifyVolume: reading Secret "storage/admin": it does not exist`)
	r.want("silver")
	if _, err := r.reconcile(); err != nil {
		t.Error(err)
	}
	if got := show(r.claim); got != "cur=silver" {
		t.Errorf("the claim is %s", got)
	}
}

// TestNoSecret calls the driver without one.
func TestNoSecret(t *testing.T) {
	r := asking(t)
	r.volume = r.volume.DeepCopy()
	r.volume.Spec.CSI.ControllerExpandSecretRef = nil
	r.sync()
	r.fail = nth("driver", 0, status.Error(codes.Internal, "no"))
	_, err := r.reconcile()
	if err == nil || r.count("driver: vol-1 tier=gold with but no password") != 1 || r.count("secret") != 0 {
		t.Errorf("%v, %q", err, r.log)
	}
}

// TestSecretsStaySecret looks for the value in all that leaves the controller.
func TestSecretsStaySecret(t *testing.T) {
	for _, code := range []codes.Code{codes.OK, codes.Aborted, codes.Internal, codes.InvalidArgument} {
		r := asking(t)
		r.fail = nth("driver", 0, status.Error(code, "no"))
		_, err := r.reconcile()
		if all := fmt.Sprintf("%q %v %+v %+v", r.log, err, r.claim, r.volume); strings.Contains(all, password) {
			t.Errorf("%s: the secret is told: %s", code, all)
		}
	}
}

// TestLeftAlone neither calls nor writes nor reads Secrets for what is not this
// driver's, or is about to go.
func TestLeftAlone(t *testing.T) {
	for name, change := range map[string]func(r *rig){
		"other driver's volume": func(r *rig) { r.volume.Spec.CSI.Driver = "other.csi.example" },
		"in-tree volume":        func(r *rig) { r.volume.Spec.CSI = nil },
		"claim that goes":       func(r *rig) { r.claim.DeletionTimestamp = &metav1.Time{Time: r.clock.Now()} },
		"claim that waits":      func(r *rig) { r.claim.Status.Phase = corev1.ClaimPending },
		"nothing asked for":     func(r *rig) { r.claim.Spec.VolumeAttributesClassName = nil },
	} {
		t.Run(name, func(t *testing.T) {
			r := asking(t)
			change(r)
			r.sync()
			if result, err := r.reconcile(); err != nil || !cmp.Equal(result, controller.Result{}) {
				t.Errorf("result %+v, %v", result, err)
			}
			sameLog(t, r)
			if r.done["secret"] != 0 {
				t.Error("a Secret was read")
			}
		})
	}
}

// TestAnotherClaim does nothing for a claim that is gone, or has been replaced.
func TestAnotherClaim(t *testing.T) {
	r := asking(t)
	for _, key := range []modify.Key{{Namespace: "shop", Name: "data", UID: "uid-9"}, {Namespace: "shop", Name: "gone", UID: "uid-1"}} {
		if result, err := r.subject.Reconcile(t.Context(), key); err != nil || !cmp.Equal(result, controller.Result{}) {
			t.Errorf("%s: result %+v, %v", key, result, err)
		}
	}
	sameLog(t, r)
	if got := r.key().String(); got != "shop/data (uid-1)" {
		t.Errorf("the key is logged as %s", got)
	}
}
