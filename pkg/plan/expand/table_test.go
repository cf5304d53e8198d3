package expand_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/expand"
)

// situation is a row of the table, with sizes in GiB; 0 for none.
type situation struct {
	volume, requested, capacity, allocated int64
	status                                 corev1.ClaimResourceStatus
	failed, onNode, nodeOnly               bool
}

// naive is the table written down once more, row by row: the size to aim at, or
// 0 for nothing to do.
func (s situation) naive() int64 {
	allocated := s.requested
	if s.allocated > s.capacity {
		allocated = s.allocated
	}
	smaller := s.volume < s.requested
	var size int64
	switch {
	case s.capacity >= s.requested:
		return 0
	case smaller && s.status == "NodeResizeInfeasible":
		size = allocated
	case smaller && (s.status == "NodeResizePending" || s.status == "NodeResizeInProgress"):
		if s.volume >= allocated {
			return 0
		}
		size = allocated
	case smaller && s.status == "ControllerResizeInProgress" && s.failed:
		size = s.requested
	case smaller && s.status == "ControllerResizeInProgress":
		size = allocated
	case smaller:
		size = s.requested
	case s.status == "NodeResizePending" || s.status == "NodeResizeInProgress":
		return 0
	case s.status == "NodeResizeInfeasible" && s.nodeOnly:
		return s.requested
	case s.status == "NodeResizeInfeasible":
		size = allocated
	case s.status == "ControllerResizeInProgress" && s.failed && allocated > s.volume:
		size = s.requested
	case s.status == "ControllerResizeInProgress":
		size = allocated
	case s.status == "ControllerResizeInfeasible" && allocated > s.volume:
		size = s.requested
	case s.status == "ControllerResizeInfeasible":
		size = allocated
	case s.status == "" && s.allocated > s.capacity:
		size = allocated
	case s.onNode:
		return 0
	default:
		size = s.requested
	}
	if s.nodeOnly && s.status != "ControllerResizeInProgress" && s.status != "NodeResizeInfeasible" {
		return max(size, s.volume)
	}
	return size
}

func (s situation) world(t testing.TB) *world {
	w := newWorld(t)
	w.volume.Spec.Capacity = corev1.ResourceList{storage: gibs(s.volume)}
	w.claim.Spec.Resources.Requests = corev1.ResourceList{storage: gibs(s.requested)}
	w.claim.Status.Capacity = corev1.ResourceList{storage: gibs(s.capacity)}
	if s.allocated > 0 {
		w.claim.Status.AllocatedResources = corev1.ResourceList{storage: gibs(s.allocated)}
	}
	w.set("R", string(s.status))
	if s.failed {
		w.set("cond", "ControllerResizeError")
	}
	if s.onNode {
		w.set("cond", "FileSystemResizePending")
	}
	if s.nodeOnly {
		w.caps = capability.Set{NodeExpand: true}
	}
	w.rested = true
	return w
}

// every calls a function with each situation of small sizes.
func every(call func(situation)) {
	for bits := range 8 {
		for _, status := range []corev1.ClaimResourceStatus{
			"", "ControllerResizeInProgress", "ControllerResizeInfeasible",
			"NodeResizePending", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizeFailed",
		} {
			for sizes := range 4 * 4 * 2 * 5 {
				call(situation{
					volume: int64(2 + sizes%4), requested: int64(2 + sizes/4%4), capacity: int64(2 + sizes/16%2), allocated: int64(sizes / 32 % 5 * 5 / 4),
					status: status, failed: bits&1 != 0, onNode: bits&2 != 0, nodeOnly: bits&4 != 0,
				})
			}
		}
	}
}

// TestEverySituation compares with the naive table, and lets the driver succeed.
func TestEverySituation(t *testing.T) {
	every(func(s situation) {
		w := s.world(t)
		want := s.naive()
		decision := w.begin()
		if decision.Verdict != expand.Act {
			if decision.Verdict != expand.Skip || want != 0 {
				t.Fatalf("%+v: verdict %d (%v), want to aim at %d", s, decision.Verdict, decision.Err, want)
			}
			return
		}
		if target := decision.Plan.Target; target.Value() != want*gib {
			t.Fatalf("%+v: aims at %s, want %d", s, target.String(), want)
		}
		again := w.decide()
		if again.Verdict != expand.Act || again.Plan.Begins || !equality.Semantic.DeepEqual(again.Plan.Claim, w.claim) {
			t.Fatalf("%+v: an attempt that has begun begins once more: %+v", s, again)
		}
		w.conclude(expand.Answer{}, "")
		volume := w.size("P")
		if lowered := s.nodeOnly && (s.status == "NodeResizeInfeasible" || s.status == "ControllerResizeInProgress"); volume.Value() != want*gib && (lowered || volume.Value() != max(want, s.volume)*gib) {
			t.Fatalf("%+v: the volume has %s", s, volume.String())
		}
		if w.kubeletStarts() {
			w.kubeletEnds()
		}
		if capacity := w.size("C"); capacity.Value() < want*gib || w.status() != "" {
			t.Fatalf("%+v: it ends with %v", s, w.facts())
		}
	})
}
