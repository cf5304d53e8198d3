package modify_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/modify"
)

// TestStories tells the stories in testdata/story, step by step:
//
//	user CLASS          the claim names another class; - for none
//	class NAME [DRIVER] a class is made; gone NAME: it is deleted
//	decide              a reconciliation, up to the driver's call
//	ok                  the driver succeeds, and both objects are written
//	ok, dies            the process dies before any of them is written
//	ok, volume, dies    … before the claim is written
//	dies                the process dies while the driver is at it
//	OUTCOME CODE        the driver fails
//	wait DURATION
//
// The right side is the claim's and the volume's state then; for decide, what is
// decided comes first.
func TestStories(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "story", "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("testdata holds no stories: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			w := newWorld(t)
			w.now = metav1.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			script(t, path, func(t *testing.T, step string) string {
				said := w.tell(t, step)
				return said + w.state()
			})
		})
	}
}

func (w *world) tell(t *testing.T, step string) string {
	t.Helper()
	words := strings.Fields(step)
	switch words[0] {
	case "decide":
		return w.told()
	case "user":
		w.want(strings.TrimPrefix(words[1], "-"))
	case "class":
		w.make(words[1], append(words, driver)[2])
	case "gone":
		delete(w.classes, words[1])
	case "wait":
		for _, word := range words[1:] {
			d, err := time.ParseDuration(word)
			if err != nil {
				t.Fatal(err)
			}
			w.now = metav1.NewTime(w.now.Add(d))
		}
	default:
		w.answer(t, step, words)
	}
	return ""
}

// told decides, and says in short what was decided.
func (w *world) told() string {
	d := w.decide()
	said := verdicts()[d.Verdict]
	if d.Plan != nil {
		said += " " + d.Plan.Target
		if d.Plan.Begins {
			said += " begins"
		}
	}
	return said + ": "
}

func (w *world) answer(t *testing.T, step string, words []string) {
	t.Helper()
	if w.plan == nil {
		t.Fatalf("%s: the driver is not at work", step)
	}
	switch step {
	case "dies":
		w.plan = nil
	case "ok":
		w.succeed(2)
	case "ok, volume, dies":
		w.succeed(1)
	case "ok, dies":
		w.succeed(0)
	default:
		w.fail(failure(t, append(words, "because")))
	}
}

// TestNothingIsWrittenTwice counts the writes of a success, and of failures that
// repeat themselves.
func TestNothingIsWrittenTwice(t *testing.T) {
	// again fails three times, an hour apart, and lets the driver try once more.
	again := func(outcome modify.Outcome) func(*world) {
		return func(w *world) {
			for range 3 {
				w.now = metav1.NewTime(w.now.Add(time.Hour))
				w.fail(modify.Failure{Outcome: outcome, Code: "Code", Message: "because"})
				w.now = metav1.NewTime(w.now.Add(time.Hour))
				w.decide()
			}
		}
	}
	for name, test := range map[string]struct {
		act  func(*world)
		want int
	}{
		"success":           {func(w *world) { w.succeed(2) }, 3},
		"success, repeated": {func(w *world) { w.succeed(1); w.decide(); w.succeed(2) }, 3},
		"not done":          {again(modify.Unfinished), 2},
		"in vain":           {again(modify.Final), 7},
		"refused":           {again(modify.Infeasible), 7},
		"at rest": {func(w *world) {
			w.fail(modify.Failure{Outcome: modify.Infeasible, Code: "Code", Message: "because"})
			w.decide()
			w.decide()
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.make("gold", driver)
			w.want("gold")
			w.decide()
			test.act(w)
			if w.writes != test.want {
				t.Errorf("%d writes, want %d", w.writes, test.want)
			}
		})
	}
}
