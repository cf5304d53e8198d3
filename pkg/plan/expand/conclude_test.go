package expand_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/expand"
)

// A write whose success was not seen is repeated on what is stored by then.
func TestConcludeOnceMore(t *testing.T) {
	for name, test := range map[string]struct {
		onNode bool
		change func(*world)
	}{
		"waiting for the node": {true, func(*world) {}},
		"node at work":         {true, func(w *world) { w.kubeletStarts() }},
		"node gave up":         {true, func(w *world) { w.kubeletGivesUp() }},
		"node done":            {true, func(w *world) { w.kubeletEnds() }},
		"finished":             {false, func(*world) {}},
	} {
		t.Run(name, func(t *testing.T) {
			w := expanding(t)
			plan, answer := w.begin().Plan, expand.Answer{NodeExpansionRequired: test.onNode}
			w.conclude(answer, "")
			test.change(w)
			w.now = w.now.Add(time.Minute)
			got := expand.Conclude(w.input(), plan, answer)
			if diff := cmp.Diff(w.claim, got.Claim) + cmp.Diff(w.volume, got.Volume); diff != "" {
				t.Errorf("it is written once more (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("legacy, node done", func(t *testing.T) {
		w := expanding(t)
		w.set("legacy", "")
		plan, answer := w.begin().Plan, expand.Answer{NodeExpansionRequired: true}
		w.conclude(answer, "")
		w.kubeletEnds()
		if diff := cmp.Diff(w.claim, expand.Conclude(w.input(), plan, answer).Claim); diff != "" {
			t.Errorf("it is written once more (-want +got):\n%s", diff)
		}
	})
}

// What the claim and the volume hold beside is kept, and the user's new size.
func TestWhatElseIsKept(t *testing.T) {
	const other = corev1.ResourceName("example.com/other")
	w := expanding(t)
	w.claim.Status.Capacity[other] = gibs(1)
	w.claim.Status.AllocatedResources = corev1.ResourceList{other: gibs(2)}
	w.claim.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{other: "x"}
	w.volume.Spec.Capacity[other] = gibs(3)
	w.begin()
	w.request(gibs(9))
	w.conclude(expand.Answer{}, "")
	want := expanding(t)
	want.claim.Spec.Resources.Requests = corev1.ResourceList{storage: gibs(9)}
	want.claim.Annotations[notRequired] = "true"
	want.claim.Status.Capacity = corev1.ResourceList{storage: gibs(7), other: gibs(1)}
	want.claim.Status.AllocatedResources = corev1.ResourceList{storage: gibs(7), other: gibs(2)}
	want.claim.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{other: "x"}
	want.volume.Spec.Capacity = corev1.ResourceList{storage: gibs(7), other: gibs(3)}
	if diff := cmp.Diff(want.claim, w.claim) + cmp.Diff(want.volume, w.volume); diff != "" {
		t.Errorf("claim and volume (-want +got):\n%s", diff)
	}
}

func TestConditions(t *testing.T) {
	old := metav1.NewTime(start().Add(-time.Hour))
	w := expanding(t)
	w.claim.Status.Conditions = append(w.claim.Status.Conditions,
		corev1.PersistentVolumeClaimCondition{Type: corev1.PersistentVolumeClaimResizing, Status: corev1.ConditionFalse, LastTransitionTime: old, Reason: "Old", Message: "old"},
		corev1.PersistentVolumeClaimCondition{Type: corev1.PersistentVolumeClaimControllerResizeError, Status: corev1.ConditionFalse, LastTransitionTime: old},
	)
	other := w.claim.Status.Conditions[0]
	w.begin()
	resizing := corev1.PersistentVolumeClaimCondition{Type: corev1.PersistentVolumeClaimResizing, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(start())}
	if diff := cmp.Diff([]corev1.PersistentVolumeClaimCondition{other, resizing}, w.claim.Status.Conditions); diff != "" {
		t.Errorf("conditions of the beginning (-want +got):\n%s", diff)
	}
	w.now = w.now.Add(time.Minute)
	w.fail(expand.Final, errors.New("no space"))
	failed := corev1.PersistentVolumeClaimCondition{
		Type: corev1.PersistentVolumeClaimControllerResizeError, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(w.now), Message: "no space",
	}
	if diff := cmp.Diff([]corev1.PersistentVolumeClaimCondition{other, resizing, failed}, w.claim.Status.Conditions); diff != "" {
		t.Errorf("conditions of the failure (-want +got):\n%s", diff)
	}
}

func TestNonsense(t *testing.T) {
	w := expanding(t)
	w.begin()
	got := w.conclude(expand.Answer{CapacityBytes: 1, NodeExpansionRequired: true}, "")
	if got.Err == nil || got.Volume != nil || got.Reason != "" || got.Message != "" {
		t.Fatalf("conclusion is %+v", got)
	}
	if last := w.claim.Status.Conditions[len(w.claim.Status.Conditions)-1]; last.Type != corev1.PersistentVolumeClaimControllerResizeError || last.Message != got.Err.Error() {
		t.Errorf("the failure is recorded as %+v", last)
	}
}

// A failure says nothing about an attempt that is not its own.
func TestFailedTooLate(t *testing.T) {
	for name, change := range map[string]func(*world){
		"another size":         func(w *world) { w.set("A", "9Gi") },
		"the node is at work":  func(w *world) { w.set("R", "NodeResizePending") },
		"recorded already":     func(w *world) { w.claim = expand.Failed(w.input(), w.plan, expand.Infeasible, errors.New("no")) },
		"under the other gate": func(w *world) { w.set("legacy", "") },
	} {
		t.Run(name, func(t *testing.T) {
			w := expanding(t)
			w.begin()
			change(w)
			w.now = w.now.Add(time.Minute)
			writes := w.claimWrites
			w.fail(expand.Infeasible, errors.New("no"))
			if w.claimWrites != writes {
				t.Errorf("it is recorded: %v", w.facts())
			}
		})
	}
}

func TestPauseSince(t *testing.T) {
	const infeasible, failed = "ControllerResizeInfeasible", "ControllerResizeError"
	for name, test := range map[string]struct {
		status, conditions string
		want               bool
	}{
		"infeasible":         {infeasible, "Resizing," + failed, true},
		"of unknown time":    {infeasible, "Resizing", false},
		"final":              {"ControllerResizeInProgress", failed, false},
		"infeasible on node": {"NodeResizeInfeasible", "NodeResizeError", false},
		"nothing":            {"", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := expanding(t)
			w.set("R", test.status)
			w.set("cond", test.conditions)
			since, ok := expand.PauseSince(w.claim)
			if ok != test.want || ok && !since.Time.Equal(start().Add(-time.Hour)) {
				t.Errorf("pause since %v, %t", since, ok)
			}
		})
	}
	// The pause begins with the answer, and ends with the next attempt.
	w := expanding(t)
	w.begin()
	w.now = w.now.Add(time.Minute)
	w.fail(expand.Infeasible, errors.New("no"))
	if since, ok := expand.PauseSince(w.claim); !ok || !since.Time.Equal(w.now) {
		t.Errorf("pause since %v, %t", since, ok)
	}
	w.rested = true
	w.begin()
	if _, ok := expand.PauseSince(w.claim); ok {
		t.Error("pause while an attempt is under way")
	}
}
