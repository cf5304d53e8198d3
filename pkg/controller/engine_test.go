package controller_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"k8s.io/klog/v2"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
)

type reconcileFunc func(ctx context.Context, key string) (controller.Result, error)

// engine is a controller under test and what is seen of it. It lives in a bubble
// of synctest, in which "nothing more happens" can be waited for, on a clock that
// moves with advance only.
type engine struct {
	*controller.Controller[string]
	t         *testing.T
	clock     *clocktesting.FakeClock
	started   time.Time
	reconcile reconcileFunc
	stop      chan struct{}
	cancel    context.CancelFunc
	returned  chan struct{}

	mu    sync.Mutex
	calls []string
	logs  []string
}

// defaults retry after 1, 2, 4, 8 and again 8 seconds, exactly.
func defaults() controller.Options {
	return controller.Options{
		Name: "claims", Workers: 1, RetryStart: time.Second, RetryMax: 8 * time.Second,
		Jitter: func() float64 { return 0 },
	}
}

// bubble runs a test of an engine that does not run yet.
func bubble(t *testing.T, options controller.Options, reconcile reconcileFunc, test func(*engine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		e := &engine{
			t: t, started: started, clock: clocktesting.NewFakeClock(started), reconcile: reconcile,
			stop: make(chan struct{}), returned: make(chan struct{}), cancel: func() {},
		}
		options.Clock = e.clock
		var err error
		if e.Controller, err = controller.New(options, e); err != nil {
			t.Fatalf("New: %v", err)
		}
		test(e)
		e.cancel()
		<-e.returned
	})
}

// running runs a test of an engine that runs.
func running(t *testing.T, options controller.Options, reconcile reconcileFunc, test func(*engine)) {
	t.Helper()
	bubble(t, options, reconcile, func(e *engine) {
		e.run()
		test(e)
	})
}

func (e *engine) run() {
	logger := funcr.NewJSON(func(line string) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.logs = append(e.logs, line)
	}, funcr.Options{})
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logger))
	e.cancel = cancel
	go func() {
		defer close(e.returned)
		e.Run(ctx, e.stop)
	}()
}

// Reconcile implements controller.Reconciler.
func (e *engine) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	e.mu.Lock()
	e.calls = append(e.calls, fmt.Sprintf("%s@%s", key, e.clock.Since(e.started)))
	e.mu.Unlock()
	return e.reconcile(ctx, key)
}

// advance moves the clock by steps of a tenth of a second, and waits after each
// until all that follows from it has happened.
func (e *engine) advance(d time.Duration) {
	const step = 100 * time.Millisecond
	synctest.Wait()
	for ; d > 0; d -= step {
		e.clock.Step(min(step, d))
		synctest.Wait()
	}
}

// expect checks which reconciliations began since it was last called, as
// "key@time since the start". Those that began at once may come in any order.
func (e *engine) expect(want ...string) {
	e.t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	slices.Sort(e.calls)
	slices.Sort(want)
	if diff := cmp.Diff(strings.Join(want, " "), strings.Join(e.calls, " ")); diff != "" {
		e.t.Errorf("reconciliations (-want +got):\n%s", diff)
	}
	e.calls = nil
}

// log returns what was logged since it was last called.
func (e *engine) log() string {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	lines := strings.Join(e.logs, "\n")
	e.logs = nil
	return lines
}

// finished tells whether Run has returned.
func (e *engine) finished() bool {
	synctest.Wait()
	select {
	case <-e.returned:
		return true
	default:
		return false
	}
}

// script returns a reconciler that does one step after the other, and then
// nothing: each call is the outcome of the next step.
func script(steps ...outcome) reconcileFunc {
	var mu sync.Mutex
	return func(context.Context, string) (controller.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		if len(steps) == 0 {
			return controller.Result{}, nil
		}
		next := steps[0]
		steps = steps[1:]
		return next.result, next.err
	}
}

type outcome struct {
	result controller.Result
	err    error
}
