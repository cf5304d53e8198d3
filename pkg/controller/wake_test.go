package controller_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
)

func class(name string) controller.Dependency {
	return controller.Dependency{Kind: "StorageClass", Name: name}
}

func waitFor(dependencies ...controller.Dependency) outcome {
	return outcome{
		result: controller.Result{WaitFor: dependencies},
		err:    controller.Terminal(errBroken()),
	}
}

func TestWakeReconcilesThoseThatWait(t *testing.T) {
	waits := map[string][]controller.Dependency{
		"fast":   {class("fast")},
		"both":   {class("fast"), class("slow")},
		"twice":  {class("fast"), class("fast")},
		"slow":   {class("slow")},
		"kind":   {{Kind: "VolumeAttachment", Name: "fast"}},
		"nobody": nil,
	}
	reconcile := func(_ context.Context, key string) (controller.Result, error) {
		return controller.Result{WaitFor: waits[key]}, controller.Terminal(errBroken())
	}
	running(t, defaults(), reconcile, func(e *engine) {
		for key := range waits {
			e.Add(key)
		}
		e.expect("fast@0s", "both@0s", "twice@0s", "slow@0s", "kind@0s", "nobody@0s")
		e.advance(time.Minute)
		e.expect()
		e.Wake(class("fast"))
		e.expect("fast@1m0s", "both@1m0s", "twice@1m0s")
		e.Wake(class("fast")) // They wait for it again.
		e.expect("fast@1m0s", "both@1m0s", "twice@1m0s")
		e.Wake(class("other"))
		e.Wake(controller.Dependency{Kind: "VolumeAttachment"})
		e.Wake(controller.Dependency{Name: "slow"})
		e.expect()
		e.Wake(class("slow"))
		e.expect("both@1m0s", "slow@1m0s")
	})
}

func TestWhatAKeyWaitsForIsReplaced(t *testing.T) {
	reconcile := script(waitFor(class("a"), class("b")), waitFor(class("b"), class("c")), outcome{})
	running(t, defaults(), reconcile, func(e *engine) {
		e.Add("k")
		e.advance(time.Second)
		e.Add("k")
		e.expect("k@0s", "k@1s")
		e.Wake(class("a"))
		e.expect()
		e.Wake(class("c"))
		e.expect("k@1s")
		for _, name := range []string{"a", "b", "c"} {
			e.Wake(class(name))
		}
		e.expect()
		if n := e.Remembered(); n != 0 {
			t.Errorf("%d entries are left behind", n)
		}
	})
}

func TestWakeStartsTheBackoffAnew(t *testing.T) {
	failure := outcome{controller.Result{WaitFor: []controller.Dependency{class("a")}}, errBroken()}
	running(t, defaults(), script(failure, failure, failure, failure, failure), func(e *engine) {
		e.Add("k")
		e.advance(8 * time.Second)
		e.expect("k@0s", "k@1s", "k@3s", "k@7s")
		e.Wake(class("a"))
		e.expect("k@8s")
		e.advance(time.Second)
		e.expect("k@9s") // 1 s, not the 16 or 8 s that it was.
	})
}

// gate is a reconciler that stops in the middle of each reconciliation until it
// is told how it shall end.
type gate struct{ ends chan outcome }

func newGate() gate { return gate{make(chan outcome)} }

func (g gate) reconcile(context.Context, string) (controller.Result, error) {
	end := <-g.ends
	return end.result, end.err
}

// What changes while a reconciliation that may have read it is under way is the
// reason for another one, if it turns out that it waits for just that.
func TestWakeDuringAReconciliation(t *testing.T) {
	again := []string{"k@0s"}
	for name, test := range map[string]struct {
		before, during []controller.Dependency
		end            outcome
		want           []string
	}{
		"of what it will wait for":            {nil, []controller.Dependency{class("a")}, waitFor(class("a")), again},
		"of one of several":                   {nil, []controller.Dependency{class("x"), class("b"), class("b")}, waitFor(class("a"), class("b")), again},
		"of what it will wait for, no error":  {nil, []controller.Dependency{class("a")}, outcome{result: controller.Result{WaitFor: []controller.Dependency{class("a")}}}, again},
		"of what it will wait for, back-off":  {nil, []controller.Dependency{class("a")}, outcome{waitFor(class("a")).result, errBroken()}, again},
		"of something else":                   {nil, []controller.Dependency{class("b")}, waitFor(class("a")), nil},
		"before it began":                     {[]controller.Dependency{class("a")}, nil, waitFor(class("a")), nil},
		"of what it does not wait for at all": {nil, []controller.Dependency{class("a")}, outcome{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			gate := newGate()
			bubble(t, defaults(), nil, func(e *engine) {
				gate.ends = make(chan outcome) // Made inside of the bubble.
				e.reconcile = gate.reconcile
				e.run()
				for _, d := range test.before {
					e.Wake(d)
				}
				e.Add("k")
				e.expect("k@0s")
				for _, d := range test.during {
					e.Wake(d)
				}
				gate.ends <- test.end
				e.expect(test.want...)
				if test.want != nil {
					gate.ends <- outcome{}
				}
				e.expect()
			})
		})
	}
}

func TestAMissedWakeStartsTheBackoffAnew(t *testing.T) {
	bubble(t, defaults(), nil, func(e *engine) {
		gate := newGate()
		e.reconcile = gate.reconcile
		e.run()
		e.Add("k")
		gate.ends <- outcome{err: errBroken()}
		e.advance(time.Second)
		gate.ends <- outcome{err: errBroken()}
		e.advance(2 * time.Second)
		e.expect("k@0s", "k@1s", "k@3s")
		e.Wake(class("a"))
		gate.ends <- outcome{waitFor(class("a")).result, errBroken()}
		e.expect("k@3s")
		gate.ends <- outcome{err: errBroken()}
		e.advance(time.Second)
		e.expect("k@4s")
		gate.ends <- outcome{}
	})
}

// A wake-up of a key that is already queued, or being reconciled, is not
// remembered beyond the next reconciliation.
func TestNothingIsRememberedOfKeysThatAreDone(t *testing.T) {
	const keys = 50
	var done atomic.Bool
	reconcile := func(_ context.Context, key string) (controller.Result, error) {
		if done.Load() {
			return controller.Result{}, nil
		}
		return controller.Result{WaitFor: []controller.Dependency{class(key), class("all")}}, errBroken()
	}
	running(t, defaults(), reconcile, func(e *engine) {
		for i := range keys {
			e.Add(string(rune('A' + i)))
		}
		e.advance(4 * time.Second)
		if n := e.Remembered(); n != keys+1+keys {
			t.Errorf("%d entries for %d keys that wait for two things each", n, keys)
		}
		done.Store(true)
		e.Wake(class("all"))
		synctest.Wait()
		if n := e.Remembered(); n != 0 {
			t.Errorf("%d entries are left behind", n)
		}
	})
}

// Several workers look whether a thing is there and, when it is not, wait for
// it, while the things appear. Whatever the order, each key must come to its
// end without a retry: the clock stands still.
func TestNoWakeIsLost(t *testing.T) {
	const rounds, things, keys = 20, 10, 100
	options := defaults()
	options.Workers = 4
	for range rounds {
		var there [things]atomic.Bool
		var complete sync.Map
		thing := func(i int) controller.Dependency { return class(string(rune('a' + i))) }
		reconcile := func(_ context.Context, key string) (controller.Result, error) {
			i := int([]rune(key)[0]) % things
			for _, needed := range []int{i, (i + 1) % things} {
				if !there[needed].Load() {
					return controller.Result{WaitFor: []controller.Dependency{thing(needed)}}, controller.Terminal(errBroken())
				}
			}
			complete.Store(key, true)
			return controller.Result{}, nil
		}
		running(t, options, reconcile, func(e *engine) {
			go func() {
				for i := range keys {
					e.Add(string(rune('α' + i)))
				}
			}()
			go func() {
				for i := range things {
					there[i].Store(true)
					e.Wake(thing(i))
				}
			}()
			synctest.Wait()
			count := 0
			complete.Range(func(any, any) bool { count++; return true })
			if count != keys {
				t.Errorf("%d of %d keys have come to their end", count, keys)
			}
			if n := e.Remembered(); n != 0 {
				t.Errorf("%d entries are left behind", n)
			}
		})
	}
}
