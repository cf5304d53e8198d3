package provision

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// refused is the error of a write that the API server will never take.
func refused() error { return errors.Join(errors.New("invalid"), kube.ErrRefused) }

// leavings are the ways in which a claim stops to want its volume.
func leavings() map[string]func(*world) {
	now := metav1.Unix(1_700_000_000, 0)
	return map[string]func(*world){
		"deleted":     func(w *world) { w.deleteClaim() },
		"terminating": func(w *world) { w.setClaim(func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &now }) },
		"replaced":    func(w *world) { w.setClaim(func(c *corev1.PersistentVolumeClaim) { c.UID = "another" }) },
		"bound elsewhere": func(w *world) {
			w.setClaim(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "other" })
		},
	}
}

// Wherever an attempt stands when its claim leaves, nothing stays at the driver
// that no PersistentVolume knows.
func TestNothingIsLeftOfAClaimThatLeaves(t *testing.T) {
	short := answer{change: func(r *csipb.CreateVolumeResponse) { r.Volume.CapacityBytes = 1 }}
	busy := status.Error(codes.Internal, "busy")
	cases := map[string]struct {
		before func(*world) // what has come of the attempt
		calls  []string     // that follow
		stored int          // PersistentVolumes in the end
	}{
		"before it begins": {func(w *world) {
			w.vault.err = errors.New("away")
			w.fails()
			w.vault.err = nil
		}, nil, 0},
		"after a final error": {func(w *world) {
			w.driver.answers = []answer{failsWith(codes.OutOfRange)}
			w.fails()
		}, nil, 0},
		"pending, made": {func(w *world) {
			w.driver.answers = []answer{makesAndFailsWith(codes.DeadlineExceeded)}
			w.fails()
		}, []string{"create gold", removing}, 0},
		"pending, not made": {func(w *world) {
			w.driver.answers = []answer{failsWith(codes.DeadlineExceeded)}
			w.fails()
		}, []string{"create gold", removing}, 0},
		"pending, and never made": {func(w *world) {
			w.driver.answers = []answer{failsWith(codes.DeadlineExceeded), failsWith(codes.OutOfRange)}
			w.fails()
		}, []string{"create gold"}, 0},
		"ambiguous": {func(w *world) {
			w.driver.answers = []answer{makesAndFailsWith(codes.Internal)}
			w.fails()
		}, []string{"create gold", removing}, 0},
		"ambiguous, the class changes": {func(w *world) {
			w.driver.answers = []answer{makesAndFailsWith(codes.Internal)}
			w.fails()
			w.fixClass("silver")
		}, []string{"create gold", removing}, 0},
		"ambiguous, replaced": {func(w *world) {
			w.driver.answers = []answer{makesAndFailsWith(codes.Internal), failsWith(codes.Internal)}
			w.fails()
			w.fixClass("silver")
			w.fails()
		}, []string{"create silver", "create gold", removing}, 0},
		"ambiguous, replaced twice": {func(w *world) {
			w.driver.answers = []answer{makesAndFailsWith(codes.Internal), failsWith(codes.Internal), failsWith(codes.Internal)}
			w.fails()
			w.fixClass("silver")
			w.fails()
			w.fixClass("bronze")
			w.fails()
		}, []string{"create bronze", "create silver", "create gold", removing}, 0},
		"storing": {func(w *world) {
			w.store.errs = []error{errors.New("away")}
			w.fails()
		}, nil, 1},
		"storing, refused": {func(w *world) {
			w.store.errs = []error{errors.New("away"), refused()}
			w.fails()
		}, []string{removing}, 0},
		"useless": {func(w *world) {
			w.driver.answers, w.driver.deletions = []answer{short}, []error{busy}
			w.fails()
		}, []string{removing}, 0},
		"its Secret has gone": {func(w *world) {
			w.driver.answers = []answer{makesAndFailsWith(codes.DeadlineExceeded)}
			w.fails()
			w.vault.err = missing()
		}, []string{"create gold", removing}, 0},
		"useless, its Secret has gone": {func(w *world) {
			w.driver.answers, w.driver.deletions = []answer{short}, []error{busy}
			w.fails()
			w.vault.err = missing()
		}, []string{removing}, 0},
	}
	for name, c := range cases {
		for leaving, leave := range leavings() {
			t.Run(name+", "+leaving, func(t *testing.T) {
				w := newWorld(t)
				c.before(w)
				w.driver.calls = nil
				leave(w)
				// A claim that has been refused a PersistentVolume hears of it.
				if _, err := w.reconcile(); err != nil {
					w.works()
				}
				w.calls(c.calls...)
				w.atDriver(c.stored)
				if len(w.store.volumes) != c.stored {
					t.Errorf("%d PersistentVolumes are stored, want %d", len(w.store.volumes), c.stored)
				}
				w.idle()
				w.deleteClaim()
				w.works()
				w.calls(c.calls...)
				w.settled()
			})
		}
	}
}

// What can't be finished at once is tried again, until it is.
func TestAbandonedAttemptIsRetried(t *testing.T) {
	cases := map[string]struct {
		trouble func(*world)
		words   string
		waitFor []controller.Dependency
	}{
		"the driver does not answer": {
			func(w *world) { w.driver.answers = []answer{failsWith(codes.Unavailable)} },
			"finishing the creation of volume", []controller.Dependency{controller.DriverReconnected()},
		},
		"the answer is ambiguous": {
			func(w *world) { w.driver.answers = []answer{failsWith(codes.Internal)} },
			"finishing the creation of volume", []controller.Dependency{controller.DriverReconnected()},
		},
		"the Secret can't be read": {
			func(w *world) { w.vault.err = unreadable() },
			"the API server is away", []controller.Dependency{controller.DriverReconnected()},
		},
		"the answer has no volume": {
			func(w *world) {
				w.driver.answers = []answer{{change: func(r *csipb.CreateVolumeResponse) { r.Volume = nil }}}
			},
			"without a volume", []controller.Dependency{controller.DriverReconnected()},
		},
		"it can't be deleted": {
			func(w *world) { w.driver.deletions = []error{status.Error(codes.Unavailable, "away")} },
			"deleting the useless volume", []controller.Dependency{controller.DriverReconnected()},
		},
		// Without its Secret a driver may refuse anything.
		"the Secret has gone, and the driver wants it": {
			func(w *world) { w.vault.err, w.driver.answers = missing(), []answer{failsWith(codes.InvalidArgument)} },
			"finishing the creation of volume", []controller.Dependency{controller.DriverReconnected()},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.driver.answers = []answer{makesAndFailsWith(codes.DeadlineExceeded)}
			w.fails()
			w.deleteClaim()
			said := len(w.events.all)
			c.trouble(w)
			result := w.fails(c.words)
			w.waitsFor(result, c.waitFor...)
			if !w.state().Phase.Open() {
				t.Fatal("the attempt is forgotten")
			}
			w.vault.err = nil
			w.works()
			w.atDriver(0)
			w.settled()
			if news := w.events.all[said:]; len(news) > 0 {
				t.Errorf("a claim that has gone is told %q", news)
			}
		})
	}
}

// Another process may have stored the volume of this claim.
func TestClaimBoundToItsOwnVolume(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{makesAndFailsWith(codes.DeadlineExceeded)}
	w.fails()
	w.setClaim(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = volumeName })
	w.works()
	w.calls("create gold", "create gold")
	w.atDriver(1)
	w.settled()
}

func TestVolumeLockIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		unlock, err := w.locks.Lock(t.Context(), claimUID)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := w.reconcile()
			done <- err
		}()
		synctest.Wait()
		w.calls()
		unlock()
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.atDriver(1)
		w.settled()
	})
}

func TestLockHeedsTheContext(t *testing.T) {
	w := newWorld(t)
	unlock, err := w.locks.Lock(t.Context(), claimUID)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.c.Reconcile(ctx, Key{Namespace: "ns", Name: "claim", UID: claimUID}); !errors.Is(err, context.Canceled) {
		t.Errorf("Reconcile: error %v, want %v", err, context.Canceled)
	}
	w.calls()
}
