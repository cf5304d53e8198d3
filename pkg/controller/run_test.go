package controller_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
)

// gated runs a test of an engine whose reconciliations stop at a gate.
func gated(t *testing.T, options controller.Options, test func(*engine, gate)) {
	t.Helper()
	bubble(t, options, nil, func(e *engine) {
		g := newGate()
		e.reconcile = g.reconcile
		test(e, g)
	})
}

func TestOneKeyHasOneWorker(t *testing.T) {
	options := defaults()
	options.Workers = 3
	gated(t, options, func(e *engine, g gate) {
		e.run()
		e.Add("a")
		e.expect("a@0s")
		for range 3 {
			e.Add("a")
		}
		e.expect()
		g.ends <- outcome{}
		e.expect("a@0s") // Once for all that were added meanwhile.
		g.ends <- outcome{}
		e.expect()
	})
}

func TestWorkersRunInParallelUpToTheLimit(t *testing.T) {
	options := defaults()
	options.Workers = 3
	gated(t, options, func(e *engine, g gate) {
		e.run()
		for _, key := range []string{"a", "b", "c", "d", "e"} {
			e.Add(key)
		}
		e.expect("a@0s", "b@0s", "c@0s")
		g.ends <- outcome{}
		e.expect("d@0s")
		g.ends <- outcome{}
		e.expect("e@0s")
		for range 3 {
			g.ends <- outcome{}
		}
		e.expect()
	})
}

func TestKeysMayBeAddedBeforeRun(t *testing.T) {
	bubble(t, defaults(), script(), func(e *engine) {
		e.Add("a")
		e.expect()
		e.run()
		e.expect("a@0s")
	})
}

func TestStopLetsWhatRunsFinish(t *testing.T) {
	for name, end := range map[string]outcome{
		"success":  {},
		"failure":  {err: errBroken()},
		"requeued": {result: controller.Result{RequeueAfter: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, defaults(), nil, func(e *engine) {
				g := newGate()
				var atTheEnd error
				e.reconcile = func(ctx context.Context, key string) (controller.Result, error) {
					result, err := g.reconcile(ctx, key)
					atTheEnd = ctx.Err()
					return result, err
				}
				e.run()
				e.Add("running")
				e.expect("running@0s")
				e.Add("queued")
				e.Add("running")
				close(e.stop)
				e.advance(time.Minute)
				if e.finished() {
					t.Fatal("Run has returned before the last reconciliation")
				}
				e.Add("late")
				g.ends <- end
				if !e.finished() {
					t.Fatal("Run has not returned after the last reconciliation")
				}
				if atTheEnd != nil {
					t.Errorf("the context of the reconciliation has ended: %v", atTheEnd)
				}
				e.advance(time.Minute)
				e.expect()
			})
		})
	}
}

func TestTheEndOfTheContextCancelsWhatRuns(t *testing.T) {
	bubble(t, defaults(), nil, func(e *engine) {
		g := newGate()
		e.reconcile = func(ctx context.Context, key string) (controller.Result, error) {
			<-ctx.Done()
			if _, err := g.reconcile(ctx, key); err != nil {
				return controller.Result{}, err
			}
			return controller.Result{}, ctx.Err()
		}
		e.run()
		e.Add("running")
		e.Add("queued")
		e.expect("running@0s")
		e.cancel()
		if e.finished() {
			t.Fatal("Run has returned before the last reconciliation")
		}
		g.ends <- outcome{}
		if !e.finished() {
			t.Fatal("Run has not returned after the last reconciliation")
		}
		e.advance(time.Minute)
		e.expect()
	})
}

func TestTheContextMayEndAfterStop(t *testing.T) {
	bubble(t, defaults(), nil, func(e *engine) {
		e.reconcile = func(ctx context.Context, _ string) (controller.Result, error) {
			<-ctx.Done()
			return controller.Result{}, ctx.Err()
		}
		e.run()
		e.Add("a")
		e.expect("a@0s")
		close(e.stop)
		if e.finished() {
			t.Fatal("Run has returned before the last reconciliation")
		}
		e.cancel()
		if !e.finished() {
			t.Fatal("Run has not returned")
		}
	})
}

func TestNothingRunsWhenStoppedBefore(t *testing.T) {
	bubble(t, defaults(), script(), func(e *engine) {
		e.Add("a")
		close(e.stop)
		e.run()
		e.expect()
		if !e.finished() {
			t.Error("Run has not returned")
		}
	})
}

func TestLogs(t *testing.T) {
	bubble(t, defaults(), nil, func(e *engine) {
		e.reconcile = func(ctx context.Context, key string) (controller.Result, error) {
			klog.FromContext(ctx).Info("Looking")
			if key == "good" {
				return controller.Result{}, nil
			}
			return controller.Result{WaitFor: []controller.Dependency{class("fast")}}, errors.New("no class")
		}
		e.run()
		e.Add("good")
		want := `{"logger":"claims","level":0,"msg":"Looking","key":"good"}`
		synctest.Wait()
		if diff := cmp.Diff(want, e.log()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		e.Add("bad")
		want = `{"logger":"claims","level":0,"msg":"Looking","key":"bad"}
{"logger":"claims","msg":"Reconciling failed","error":"no class","key":"bad","failures":1,"waitFor":[{"Kind":"StorageClass","Name":"fast"}]}`
		if diff := cmp.Diff(want, e.log()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		e.advance(time.Second)
		if log := e.log(); !strings.Contains(log, `"failures":2`) {
			t.Errorf("the second failure is not counted: %s", log)
		}
	})
}
