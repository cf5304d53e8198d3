package expand_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/expand"
)

const (
	driverName   = "driver.example"
	preResize    = "volume.alpha.kubernetes.io/pre-resize-capacity"
	notRequired  = "volume.kubernetes.io/node-expansion-not-required"
	resizer      = "volume.kubernetes.io/storage-resizer"
	otherKey     = "example.com/other"
	otherKind    = corev1.PersistentVolumeClaimConditionType("Other")
	storage      = corev1.ResourceStorage
	expandSecret = "csi.storage.k8s.io/controller-expand-secret-name"
	expandSpace  = "csi.storage.k8s.io/controller-expand-secret-namespace"
	nodeSecret   = "csi.storage.k8s.io/node-expand-secret-name"
	nodeSpace    = "csi.storage.k8s.io/node-expand-secret-namespace"
)

// start is when worlds begin; conditions that they begin with are older.
func start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// world is a claim and its volume, and who acts on them: it applies what the
// planner decides as the controller does, and what the kubelet would write.
type world struct {
	t      testing.TB
	claim  *corev1.PersistentVolumeClaim
	volume *corev1.PersistentVolume
	class  *storagev1.StorageClass
	caps   capability.Set
	opts   expand.Options
	now    time.Time
	rested bool
	// plan is the controller's, between its decision and the driver's answer.
	plan *expand.Plan
	// claimWrites and volumeWrites count the patches of the controller.
	claimWrites, volumeWrites int
}

func newWorld(t testing.TB) *world {
	policy := corev1.PersistentVolumeReclaimDelete
	return &world{
		t: t,
		claim: &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "data", UID: "1", Annotations: map[string]string{otherKey: "x"}},
			Spec: corev1.PersistentVolumeClaimSpec{
				VolumeName: "pvc-1",
				Resources:  corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{}},
			},
			Status: corev1.PersistentVolumeClaimStatus{
				Phase:      corev1.ClaimBound,
				Conditions: []corev1.PersistentVolumeClaimCondition{{Type: otherKind, Status: corev1.ConditionTrue}},
			},
		},
		volume: &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: "pvc-1"},
			Spec: corev1.PersistentVolumeSpec{
				AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				ClaimRef:                      &corev1.ObjectReference{Namespace: "team-a", Name: "data", UID: "1"},
				PersistentVolumeReclaimPolicy: policy,
				StorageClassName:              "fast",
				PersistentVolumeSource: corev1.PersistentVolumeSource{
					CSI: &corev1.CSIPersistentVolumeSource{Driver: driverName, VolumeHandle: "handle", FSType: "xfs"},
				},
			},
		},
		class: &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: driverName},
		caps:  capability.Set{ControllerService: true, ControllerExpand: true, NodeExpand: true},
		opts:  expand.Options{RecoverVolumeExpansionFailure: true, AnnotateFsResize: true},
		now:   start(),
	}
}

func (w *world) input() expand.Input {
	return expand.Input{
		Claim: w.claim, Volume: w.volume, Class: w.class, Driver: driverName,
		Capabilities: w.caps, Options: w.opts, Rested: w.rested, Now: metav1.NewTime(w.now),
	}
}

// unchanged calls a function and checks that it leaves its input alone.
func (w *world) unchanged(call func()) {
	w.t.Helper()
	claim, volume, class := w.claim.DeepCopy(), w.volume.DeepCopy(), w.class.DeepCopy()
	call()
	if !equality.Semantic.DeepEqual(claim, w.claim) || !equality.Semantic.DeepEqual(volume, w.volume) || !equality.Semantic.DeepEqual(class, w.class) {
		w.t.Fatalf("the input has changed (-want +got):\n%s", cmp.Diff(claim, w.claim)+cmp.Diff(volume, w.volume)+cmp.Diff(class, w.class))
	}
}

// decide decides, and does what comes before a plan, until there is one.
func (w *world) decide() expand.Decision {
	w.t.Helper()
	var got expand.Decision
	w.unchanged(func() { got = expand.Decide(w.input()) })
	if (got.Err != nil) != (got.Verdict == expand.Reject) || (got.Plan != nil) != (got.Verdict == expand.Act) ||
		(got.Volume != nil) != (got.Verdict == expand.Unannotate || got.Verdict == expand.Backfill) ||
		got.Warning != "" && (got.Plan == nil || !got.Plan.Begins) {
		w.t.Fatalf("a decision that does not belong together: %+v", got)
	}
	return got
}

// saveClaim writes the claim's status and metadata, as a patch does: only if it
// changes anything.
func (w *world) saveClaim(claim *corev1.PersistentVolumeClaim) {
	if !equality.Semantic.DeepEqual(w.claim, claim) {
		w.claim = claim
		w.claimWrites++
	}
}

func (w *world) saveVolume(volume *corev1.PersistentVolume) {
	if !equality.Semantic.DeepEqual(w.volume, volume) {
		w.volume = volume
		w.volumeWrites++
	}
}

// begin is the controller's part before the driver is called.
func (w *world) begin() expand.Decision {
	w.t.Helper()
	got := w.decide()
	switch got.Verdict {
	case expand.Unannotate, expand.Backfill:
		w.saveVolume(got.Volume)
	case expand.Act:
		w.saveClaim(got.Plan.Claim)
		w.plan = got.Plan
	}
	return got
}

// conclude takes the driver's answer. What is lost is not written: "claim",
// "both" or nothing.
func (w *world) conclude(answer expand.Answer, lost string) expand.Conclusion {
	w.t.Helper()
	var got expand.Conclusion
	w.unchanged(func() { got = expand.Conclude(w.input(), w.plan, answer) })
	if got.Volume != nil && lost != "both" {
		w.saveVolume(got.Volume)
	}
	if lost == "" {
		w.saveClaim(got.Claim)
	}
	w.plan = nil
	return got
}

func (w *world) fail(failure expand.Failure, err error) {
	w.t.Helper()
	var claim *corev1.PersistentVolumeClaim
	w.unchanged(func() { claim = expand.Failed(w.input(), w.plan, failure, err) })
	w.saveClaim(claim)
	w.plan = nil
}

// request changes the size that the claim asks for; false where the API server
// does not let the user do so.
func (w *world) request(size resource.Quantity) bool {
	if size.Cmp(w.size("S")) < 0 && size.Cmp(w.size("C")) <= 0 {
		return false
	}
	w.claim = w.claim.DeepCopy()
	w.claim.Spec.Resources.Requests[storage] = size
	return true
}

// kubeletStarts is what the kubelet writes before it calls NodeExpandVolume;
// false when it does not.
func (w *world) kubeletStarts() bool {
	status := w.status()
	if status != corev1.PersistentVolumeClaimNodeResizePending && status != corev1.PersistentVolumeClaimNodeResizeInProgress ||
		cmpSizes(w.size("P"), w.size("C")) <= 0 {
		return false
	}
	w.claim = w.claim.DeepCopy()
	w.claim.Status.AllocatedResourceStatuses[storage] = corev1.PersistentVolumeClaimNodeResizeInProgress
	return true
}

// kubeletEnds is what the kubelet writes when NodeExpandVolume has succeeded.
func (w *world) kubeletEnds() {
	w.claim = w.claim.DeepCopy()
	w.claim.Status.Capacity = corev1.ResourceList{storage: w.size("P")}
	w.claim.Status.AllocatedResourceStatuses = nil
	w.claim.Status.Conditions = slices.DeleteFunc(w.claim.Status.Conditions, func(c corev1.PersistentVolumeClaimCondition) bool { return c.Type != otherKind })
}

// kubeletGivesUp is what the kubelet writes when the expansion is infeasible.
func (w *world) kubeletGivesUp() {
	w.claim = w.claim.DeepCopy()
	w.claim.Status.AllocatedResourceStatuses[storage] = corev1.PersistentVolumeClaimNodeResizeInfeasible
	w.setCondition(corev1.PersistentVolumeClaimNodeResizeError, w.now)
}

func (w *world) setCondition(kind corev1.PersistentVolumeClaimConditionType, at time.Time) {
	w.claim.Status.Conditions = append(w.claim.Status.Conditions, corev1.PersistentVolumeClaimCondition{
		Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(at),
	})
}

func (w *world) status() corev1.ClaimResourceStatus {
	return w.claim.Status.AllocatedResourceStatuses[storage]
}

// size returns a size by its letter in the reference; 0 where there is none.
func (w *world) size(letter string) resource.Quantity { return w.list(letter)[storage] }

func (w *world) list(letter string) corev1.ResourceList {
	switch letter {
	case "P":
		return w.volume.Spec.Capacity
	case "S":
		return w.claim.Spec.Resources.Requests
	case "C":
		return w.claim.Status.Capacity
	case "A":
		return w.claim.Status.AllocatedResources
	}
	w.t.Fatalf("no size is called %q", letter)
	return nil
}

func cmpSizes(a, b resource.Quantity) int { return a.Cmp(b) }

// facts are what a script shows of a world, in the order in which it does.
func (w *world) facts() []string {
	var facts []string
	for _, letter := range []string{"P", "S", "C", "A"} {
		text := ""
		if size, ok := w.list(letter)[storage]; ok {
			text = size.String()
		}
		facts = append(facts, letter+"="+text)
	}
	quota := w.size("S")
	if allocated := w.size("A"); allocated.Cmp(quota) > 0 {
		quota = allocated
	}
	var conditions []string
	for _, c := range w.claim.Status.Conditions {
		if c.Type != otherKind {
			text := string(c.Type)
			if c.Status != corev1.ConditionTrue {
				text += ":" + string(c.Status)
			}
			if c.LastTransitionTime.Time.Equal(w.now) {
				text += "*"
			}
			conditions = append(conditions, text)
		}
	}
	return append(facts,
		fmt.Sprintf("R=%s", w.status()),
		"cond="+strings.Join(conditions, ","),
		"quota="+quota.String(),
		"annotated="+w.volume.Annotations[preResize],
		"not-required="+w.claim.Annotations[notRequired],
	)
}
