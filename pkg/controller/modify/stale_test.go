package modify_test

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestStaleInformer does not begin again what has just ended, or failed, while
// the informer shows the claim as it was before.
func TestStaleInformer(t *testing.T) {
	for name, code := range map[string]codes.Code{"success": codes.OK, "infeasible": codes.InvalidArgument} {
		t.Run(name, func(t *testing.T) {
			r := asking(t)
			r.lag = true
			r.fail = nth("driver", 0, status.Error(code, "no"))
			_, _ = r.reconcile()
			done := show(r.claim)
			r.taken()
			if _, err := r.reconcile(); err != nil {
				t.Error(err)
			}
			sameLog(t, r)
			r.sync()
			if _, err := r.reconcile(); err != nil {
				t.Error(err)
			}
			sameLog(t, r)
			if got := show(r.claim); got != done {
				t.Errorf("the claim is %s, was %s", got, done)
			}
		})
	}
}

// TestStaleRetry retries over own writes that the informer does not show.
func TestStaleRetry(t *testing.T) {
	r := asking(t)
	r.lag = true
	r.fail = nth("driver", 0, status.Error(codes.Internal, "no"))
	_, _ = r.reconcile()
	r.taken()
	if _, err := r.reconcile(); err != nil {
		t.Error(err)
	}
	sameLog(t, r, "claim: cur=- InProgress=gold ModifyingVolume ModifyVolumeError=Internal", called, "volume: gold", closed, ended)
}

// TestNewerThanOwn goes by what others have written since.
func TestNewerThanOwn(t *testing.T) {
	r := asking(t)
	r.lag = true
	_, _ = r.reconcile()
	r.taken()
	r.want("silver")
	if _, err := r.reconcile(); err != nil {
		t.Error(err)
	}
	if got := show(r.claim); got != "cur=silver" {
		t.Errorf("the claim is %s: %q", got, r.log)
	}
}

// TestOldHandlerCall is told late of what the informer has shown before the
// write.
func TestOldHandlerCall(t *testing.T) {
	r := asking(t)
	r.lag = true
	older := r.claim.DeepCopy()
	older.ResourceVersion = "3"
	_, _ = r.reconcile()
	r.taken()
	r.subject.ClaimShown(older)
	if _, err := r.reconcile(); err != nil {
		t.Error(err)
	}
	sameLog(t, r)
}

// TestFailedWriteIsNoWrite forgets a write that has failed.
func TestFailedWriteIsNoWrite(t *testing.T) {
	r := asking(t)
	r.lag = true
	r.fail = nth("claim", 1, errors.New("timeout"))
	_, _ = r.reconcile()
	r.sync()
	r.taken()
	if _, err := r.reconcile(); err != nil {
		t.Error(err)
	}
	sameLog(t, r, called, closed, ended)
}

// TestNothingIsRemembered forgets what was written once the informer has shown
// it, or the claim is gone. What is forgotten can be told from what is not by an
// informer that goes back in time, which none does.
func TestNothingIsRemembered(t *testing.T) {
	for name, then := range map[string]func(r *rig){
		"shown at once": func(r *rig) {
			r.lag = false
			_, _ = r.reconcile()
		},
		"shown before the write returns": func(r *rig) {
			r.lag = false
			r.quiet = true
			_, _ = r.reconcile()
		},
		"shown later": func(r *rig) {
			_, _ = r.reconcile()
			r.sync()
		},
		"shown, and looked at": func(r *rig) {
			_, _ = r.reconcile()
			r.put(r.claims, r.claim)
			_, _ = r.reconcile()
		},
		"gone": func(r *rig) {
			_, _ = r.reconcile()
			_ = r.claims.Delete(r.claim)
			r.subject.ClaimShown(r.claim)
		},
		"replaced": func(r *rig) {
			_, _ = r.reconcile()
			old, next := r.claim, r.claim.DeepCopy()
			next.UID = "uid-9"
			r.put(r.claims, next)
			r.subject.ClaimShown(old)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := asking(t)
			r.lag = true
			before := r.claim
			then(r)
			r.taken()
			r.put(r.claims, before)
			_, _ = r.reconcile()
			if len(r.taken()) == 0 {
				t.Error("what was written still counts")
			}
		})
	}
}

// deaf finds that nothing differs.
type deaf struct{}

func (deaf) Get(context.Context, string, string) (*corev1.PersistentVolumeClaim, error) {
	return nil, errors.New("nobody asks")
}

func (deaf) Patch(_ context.Context, from, _ *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error) {
	return from, nil
}

// TestNothingToWrite does not take what the informer holds for an own write.
func TestNothingToWrite(t *testing.T) {
	r := asking(t)
	r.change(func(claim *corev1.PersistentVolumeClaim) {
		claim.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "somebody"}}
	})
	r.deps.ClaimStatus = deaf{}
	r.restart(r.clock)
	if _, err := r.reconcile(); err != nil {
		t.Error(err)
	}
	if len(r.claim.ManagedFields) != 1 {
		t.Error("what the informer holds was changed")
	}
}
