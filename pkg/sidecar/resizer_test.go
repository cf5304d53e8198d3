package sidecar

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/expand"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/modify"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/test/tables"
)

// waiter has its key wait for a class that does not come, for as long as there is a claim.
type waiter struct {
	mu   sync.Mutex
	gone bool
}

func (w *waiter) Reconcile(context.Context, kube.ClaimKey) (controller.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return controller.Result{}, nil
	}
	return controller.Result{WaitFor: []controller.Dependency{controller.AttributesClassChanged("gold")}}, nil
}

// Of a claim that has gone while its keys waited for something, nothing is kept.
func TestClaimThatHasGoneWaitsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := &waiter{}, make(chan struct{})
		engine := func(name string) *controller.Controller[kube.ClaimKey] {
			c, err := controller.New(controller.Options{Name: name, Workers: 1, RetryStart: time.Second, RetryMax: time.Second}, w)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		r := &resizer{expand: engine("expansions"), modify: engine("modifications")}
		var running sync.WaitGroup
		running.Go(func() { r.expand.Run(t.Context(), stop) })
		running.Go(func() { r.modify.Run(t.Context(), stop) })
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "claim", UID: "1"}}
		r.expand.Add(kube.KeyOf(claim))
		r.modify.Add(kube.KeyOf(claim))
		synctest.Wait()
		if len(tables.NotEmpty(r)) == 0 {
			t.Error("nothing waits")
		}
		w.mu.Lock()
		w.gone = true
		w.mu.Unlock()
		expand.Gone(claim, r.expand)
		modify.Gone(claim, r.modify)
		synctest.Wait()
		if kept := tables.NotEmpty(r); len(kept) > 0 {
			t.Errorf("kept is %q", kept)
		}
		close(stop)
		running.Wait()
	})
}
