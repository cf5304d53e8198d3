package deletion_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
)

// Otherwise it would be created again, by a retry or after a crash.
func TestVolumeIsDeletedAfterItsCreationHasEnded(t *testing.T) {
	w := newWorld(t, nil)
	claim := newVolume().Spec.ClaimRef.UID
	w.fail["Settle"] = fmt.Errorf("claim: %w", journal.ErrOpen)
	result, err := w.reconcile()
	if diff := cmp.Diff(controller.Result{RequeueAfter: time.Second}, result); err != nil || diff != "" {
		t.Errorf("the error is %v, the result (-want +got):\n%s", err, diff)
	}
	w.expectCalls()
	w.expectWarnings()

	w.fail["Settle"] = errors.New("no leader")
	const message = `waiting for the end of the creation of PersistentVolume "pv-1": no leader`
	w.failing(message)
	w.expectCalls()
	w.expectWarnings(message)

	delete(w.fail, "Settle")
	w.succeed()
	w.expectCalls(all()...)
	if diff := cmp.Diff([]types.UID{claim, claim, claim}, w.settled); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

// Whoever deletes the PersistentVolume then, to keep the volume, must not have it
// deleted after a crash.
func TestFinalizerStaysUntilTheCreationHasEnded(t *testing.T) {
	w := newWorld(t, func(v *corev1.PersistentVolume) { retained(v); bound(v) })
	w.fail["Settle"] = journal.ErrOpen
	if result, err := w.reconcile(); err != nil || result.RequeueAfter != time.Second {
		t.Errorf("Reconcile: %v, %v", result, err)
	}
	w.expectCalls()
	delete(w.fail, "Settle")
	w.succeed()
	w.expectCalls("RemoveFinalizer pv-1")
}

func TestVolumeThatHadNoClaimIsNotWaitedFor(t *testing.T) {
	for name, change := range map[string]func(*corev1.PersistentVolume){
		"no claim": func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil },
		"no uid":   func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, change)
			w.succeed()
			w.expectCalls(all()...)
			if len(w.settled) > 0 {
				t.Errorf("asked for %q", w.settled)
			}
		})
	}
}
