package controller_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
)

func errBroken() error { return errors.New("broken") }

// Each case says what the reconciliations of "a" come to, and when they must
// begin within the minute after it was added. When the steps are used up, it
// succeeds.
func TestWhenAKeyIsReconciledAgain(t *testing.T) {
	broken := errBroken()
	after := func(d time.Duration) controller.Result { return controller.Result{RequeueAfter: d} }
	waits := controller.Result{WaitFor: []controller.Dependency{{Kind: "StorageClass", Name: "fast"}}}
	again := controller.Result{Again: true}
	failure, success := outcome{err: broken}, outcome{}
	for name, test := range map[string]struct {
		steps []outcome
		want  string
	}{
		"success":               {[]outcome{success}, "a@0s"},
		"one failure":           {[]outcome{failure}, "a@0s a@1s"},
		"doubles up to the max": {[]outcome{failure, failure, failure, failure, failure, failure}, "a@0s a@1s a@3s a@7s a@15s a@23s a@31s"},
		"success that asks for more": {
			[]outcome{{result: after(5 * time.Second)}}, "a@0s a@5s",
		},
		"and once more": {
			[]outcome{{result: after(5 * time.Second)}, {result: after(100 * time.Millisecond)}}, "a@0s a@5s a@5.1s",
		},
		"a negative time is none": {[]outcome{{result: after(-time.Second)}}, "a@0s"},
		"asking for more ends the back-off": {
			[]outcome{failure, failure, {result: after(5 * time.Second)}, failure}, "a@0s a@1s a@3s a@8s a@9s",
		},
		"requeued before the back-off ends": {
			[]outcome{{after(500 * time.Millisecond), broken}}, "a@0s a@500ms",
		},
		"requeued after the back-off ends": {[]outcome{{after(5 * time.Second), broken}}, "a@0s a@1s"},
		"both count as one failure": {
			[]outcome{{after(500 * time.Millisecond), broken}, failure}, "a@0s a@500ms a@2.5s",
		},
		"again":                              {[]outcome{{result: again}}, "a@0s a@0s"},
		"again, with an error":               {[]outcome{{again, broken}}, "a@0s a@1s"},
		"again leaves the back-off as it is": {[]outcome{failure, {result: again}, failure}, "a@0s a@1s a@1s a@3s"},
		"terminal":                           {[]outcome{{err: controller.Terminal(broken)}}, "a@0s"},
		"terminal, wrapped":                  {[]outcome{{err: fmt.Errorf("creating: %w", controller.Terminal(broken))}}, "a@0s"},
		"terminal, joined":                   {[]outcome{{err: errors.Join(broken, controller.Terminal(broken))}}, "a@0s"},
		"terminal, requeued": {
			[]outcome{{after(5 * time.Second), controller.Terminal(broken)}}, "a@0s a@5s",
		},
		"terminal ends the back-off": {
			[]outcome{failure, failure, {after(5 * time.Second), controller.Terminal(broken)}, failure}, "a@0s a@1s a@3s a@8s a@9s",
		},
		"waiting for something backs off, too":   {[]outcome{{waits, broken}}, "a@0s a@1s"},
		"waiting for something without an error": {[]outcome{{result: waits}}, "a@0s"},
		"waiting for something for good":         {[]outcome{{waits, controller.Terminal(broken)}}, "a@0s"},
		"waiting for something, at most for 5 s": {[]outcome{{controller.Result{RequeueAfter: 5 * time.Second, WaitFor: waits.WaitFor}, nil}}, "a@0s a@5s"},
	} {
		t.Run(name, func(t *testing.T) {
			running(t, defaults(), script(test.steps...), func(e *engine) {
				e.Add("a")
				e.advance(time.Minute)
				e.expect(strings.Fields(test.want)...)
			})
		})
	}
}

func TestSuccessEndsTheBackoff(t *testing.T) {
	failure := outcome{err: errBroken()}
	running(t, defaults(), script(failure, failure, outcome{}, failure), func(e *engine) {
		e.Add("a")
		e.advance(10 * time.Second)
		e.expect("a@0s", "a@1s", "a@3s")
		e.Add("a")
		e.advance(10 * time.Second)
		e.expect("a@10s", "a@11s")
	})
}

func TestAnAddDoesNotWaitForTheBackoff(t *testing.T) {
	failure := outcome{err: errBroken()}
	running(t, defaults(), script(failure, failure, failure), func(e *engine) {
		e.Add("a")
		e.advance(4 * time.Second)
		e.expect("a@0s", "a@1s", "a@3s")
		e.Add("a")
		e.expect("a@4s")
	})
}

func TestEachKeyHasItsOwnBackoff(t *testing.T) {
	fails := func(_ context.Context, key string) (controller.Result, error) {
		if key == "good" {
			return controller.Result{}, nil
		}
		return controller.Result{}, errBroken()
	}
	running(t, defaults(), fails, func(e *engine) {
		e.Add("early")
		e.Add("good")
		e.advance(2 * time.Second)
		e.Add("late")
		e.advance(2 * time.Second)
		e.expect("early@0s", "good@0s", "early@1s", "late@2s", "early@3s", "late@3s")
	})
}

func TestJitter(t *testing.T) {
	t.Run("of the options", func(t *testing.T) {
		options := defaults()
		options.Jitter = func() float64 { return 0.5 }
		running(t, options, script(outcome{err: errBroken()}), func(e *engine) {
			e.Add("a")
			e.advance(949 * time.Millisecond)
			e.expect("a@0s")
			e.advance(time.Millisecond)
			e.expect("a@950ms")
		})
	})
	t.Run("by default", func(t *testing.T) {
		options := defaults()
		options.Jitter = nil
		running(t, options, script(outcome{err: errBroken()}), func(e *engine) {
			e.Add("a")
			e.advance(900 * time.Millisecond)
			e.expect("a@0s")
			e.advance(100 * time.Millisecond)
			e.expect("a@1s")
		})
	})
}

func TestAPanicIsAnErrorThatIsRetried(t *testing.T) {
	panicked := false
	panics := func(_ context.Context, key string) (controller.Result, error) {
		if key == "a" && !panicked {
			panicked = true
			panic("a nil somewhere")
		}
		return controller.Result{}, nil
	}
	running(t, defaults(), panics, func(e *engine) {
		e.Add("a")
		e.expect("a@0s")
		log := e.log()
		for _, part := range []string{"reconciling panicked: a nil somewhere", "retry_test.go", `"key":"a"`} {
			if !strings.Contains(log, part) {
				t.Errorf("%q is not in the log: %s", part, log)
			}
		}
		e.Add("b") // The only worker is still there.
		e.advance(5 * time.Second)
		e.expect("b@0s", "a@1s")
		if n := e.Remembered(); n != 0 {
			t.Errorf("%d entries are left behind", n)
		}
	})
}

// What a reconciler found out before it panicked does not count.
func TestAPanicHasNoResult(t *testing.T) {
	panics := func(context.Context, string) (result controller.Result, err error) {
		result.WaitFor = []controller.Dependency{{Kind: "StorageClass", Name: "fast"}}
		result.RequeueAfter = time.Millisecond
		err = controller.Terminal(errBroken())
		panic(err)
	}
	running(t, defaults(), panics, func(e *engine) {
		e.Add("a")
		e.advance(1500 * time.Millisecond)
		e.Wake(controller.Dependency{Kind: "StorageClass", Name: "fast"})
		e.expect("a@0s", "a@1s")
	})
}
