package expand_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/expand"
)

var update = flag.Bool("update", false, "write what happens into testdata instead of comparing it")

const arrow = " -> "

// TestScripts runs the scripts in testdata, whose README explains them. Run it
// with -update to have what comes after the arrows written, and read what has
// changed.
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("testdata holds no scripts: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(content))
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(string(content), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("it went otherwise (-want +got; -update writes it):\n%s", diff)
			}
		})
	}
}

// play runs a script and returns it with what happened. A line that is not
// indented begins a new world.
func play(t *testing.T, script string) string {
	var w *world
	lines := strings.Split(script, "\n")
	for i, line := range lines {
		words, _, _ := strings.Cut(line, strings.TrimRight(arrow, " "))
		words = strings.TrimRight(words, " ")
		if words == "" || strings.HasPrefix(strings.TrimSpace(words), "#") {
			continue
		}
		if !strings.HasPrefix(line, " ") {
			w = newWorld(t)
		}
		lines[i] = words + arrow + w.run(strings.Fields(words))
	}
	return strings.Join(lines, "\n")
}

// run does what the words of a line say, and returns what came of it: what was
// told, and the facts that have changed.
func (w *world) run(words []string) string {
	w.t.Helper()
	var told []string
	var before []string
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		if before == nil && !w.set(key, value) {
			before = w.facts()
		}
		if before != nil {
			if said := w.do(key, value); said != "" {
				told = append(told, said)
			}
		}
	}
	if before == nil {
		return strings.TrimSpace(strings.Join(w.facts(), " "))
	}
	for i, fact := range w.facts() {
		if fact != before[i] {
			told = append(told, fact)
		}
	}
	if len(told) == 0 {
		return "nothing"
	}
	return strings.Join(told, " ")
}

func (w *world) quantity(text string) resource.Quantity {
	w.t.Helper()
	size, err := resource.ParseQuantity(text)
	if err != nil {
		w.t.Fatalf("size %q: %v", text, err)
	}
	return size
}

func (w *world) sizes(text string) corev1.ResourceList {
	if text == "" {
		return nil
	}
	return corev1.ResourceList{storage: w.quantity(text)}
}

// set says how the world is to be; false for a word that does something in it.
func (w *world) set(key, value string) bool {
	w.t.Helper()
	switch key {
	case "P":
		w.volume.Spec.Capacity = w.sizes(value)
	case "S":
		w.claim.Spec.Resources.Requests = w.sizes(value)
	case "C":
		w.claim.Status.Capacity = w.sizes(value)
	case "A":
		w.claim.Status.AllocatedResources = w.sizes(value)
	case "R":
		if value != "" {
			w.claim.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{storage: corev1.ClaimResourceStatus(value)}
		}
	case "cond":
		for kind := range strings.SplitSeq(value, ",") {
			if kind != "" {
				w.setCondition(corev1.PersistentVolumeClaimConditionType(kind), start().Add(-time.Hour))
			}
		}
	default:
		return w.setMore(key, value)
	}
	return true
}

func (w *world) setMore(key, value string) bool {
	w.t.Helper()
	switch key {
	case "driver":
		w.caps = map[string]capability.Set{
			"controller": {ControllerExpand: true}, "both": {ControllerExpand: true, NodeExpand: true},
			"node": {NodeExpand: true}, "none": {},
		}[value]
	case "policy":
		w.volume.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimPolicy(value)
	case "annotated":
		metav1.SetMetaDataAnnotation(&w.volume.ObjectMeta, preResize, value)
	case "not-required":
		metav1.SetMetaDataAnnotation(&w.claim.ObjectMeta, notRequired, value)
	case "legacy":
		w.opts.RecoverVolumeExpansionFailure = false
	case "no-annotate":
		w.opts.AnnotateFsResize = false
	case "rested":
		w.rested = true
	case "story":
	case "deleted":
		w.claim.DeletionTimestamp = &metav1.Time{Time: start()}
	default:
		return false
	}
	return true
}

// do lets somebody act, and returns what is told.
func (w *world) do(key, value string) string {
	w.t.Helper()
	first, rest, _ := strings.Cut(value, ",")
	if (key == "ok" || key == "fail") && w.plan == nil {
		return "there is no call"
	}
	switch key {
	case "decide":
		return w.show(w.decide())
	case "begin":
		return w.show(w.begin())
	case "ok":
		answer := expand.Answer{NodeExpansionRequired: strings.Contains(rest, "node")}
		if first != "" && first != "0" {
			size := w.quantity(first)
			answer.CapacityBytes = size.Value()
		}
		conclusion := w.conclude(answer, lost(rest))
		if conclusion.Err != nil {
			return strconv.Quote(conclusion.Err.Error())
		}
		return fmt.Sprintf("%s %q", conclusion.Reason, conclusion.Message)
	case "fail":
		failures := map[string]expand.Failure{"pending": expand.Pending, "final": expand.Final, "infeasible": expand.Infeasible}
		w.rested = false
		w.fail(failures[value], errors.New("driver says no"))
	case "crash":
		w.plan = nil
	case "later":
		w.now = w.now.Add(time.Minute)
	case "user":
		if !w.request(w.quantity(value)) {
			return "refused"
		}
	case "kubelet":
		return w.kubelet(value)
	case "sent":
		return fmt.Sprintf("%d patches", w.claimWrites+w.volumeWrites)
	default:
		if !w.setMore(key, value) {
			w.t.Fatalf("nobody knows what %q means", key)
		}
	}
	return ""
}

// lost returns which of the writes after the driver's answer are lost.
func lost(words string) string {
	for _, which := range []string{"claim", "both"} {
		if slices.Contains(strings.Split(words, ","), "lost:"+which) {
			return which
		}
	}
	return ""
}

func (w *world) kubelet(outcome string) string {
	if !w.kubeletStarts() {
		return "idle"
	}
	switch outcome {
	case "ok":
		w.kubeletEnds()
	case "infeasible":
		w.kubeletGivesUp()
	}
	return ""
}

func (w *world) show(decision expand.Decision) string {
	verdicts := map[expand.Verdict]string{
		expand.Skip: "Skip", expand.Pause: "Pause", expand.Unannotate: "Unannotate", expand.Backfill: "Backfill",
		expand.Reject: "Reject", expand.Act: "Act",
	}
	shown := []string{verdicts[decision.Verdict]}
	if decision.Err != nil {
		shown = append(shown, strconv.Quote(decision.Err.Error()))
	}
	if plan := decision.Plan; plan != nil {
		if plan.Begins {
			shown = append(shown, "begins")
		}
		shown = append(shown, "N="+plan.Target.String())
		if plan.Request == nil {
			shown = append(shown, "no call")
		} else {
			shown = append(shown, fmt.Sprintf("call=%d", plan.Request.GetCapacityRange().GetRequiredBytes()))
		}
	}
	return strings.Join(shown, " ")
}
