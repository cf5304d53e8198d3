package modify_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/modify"
)

// FuzzDecide decides about claims whose texts anybody may have written. Bits of
// flags say what they have: see hostile.
func FuzzDecide(f *testing.F) {
	for _, seed := range []struct {
		flags                              uint16
		spec, current, target, state, text string
	}{
		{0, "", "", "", "", ""},
		{1, "gold", "", "", "", ""},
		{1 | 2, "gold", "silver", "", "", ""},
		{1 | 4, "gold", "", "gold", "InProgress", ""},
		{1 | 4 | 8, "gold", "", "gold", "InProgress", "WaitingForRetry"},
		{1 | 4 | 8, "silver", "", "gold", "InProgress", "WaitingForRetry"},
		{1 | 4 | 8 | 16, "gold", "", "gold", "Infeasible", "WaitingForRetry"},
		{1 | 4 | 8 | 16 | 32, "gold", "", "gold", "Infeasible", "WaitingForRetry"},
		{1 | 4 | 64, "gold", "", "", "Pending", ""},
		{1 | 4, "gold", "", "", "Pending", ""},
		{1 | 4, "gold", "", "gold", "NodeModifying", ""},
		{1 | 128, "gold", "", "", "", "other.csi.example"},
		{1 | 256, "gold", "", "", "", "csi.storage.k8s.io/pv/name"},
		{1 | 512, "gold", "", "", "", "uid-2"},
		{1 | 1024, "gold", "", "", "", "other.csi.example"},
		{1 | 2048, "gold", "", "", "", strings.Repeat("x", 64<<10)},
		{1 | 4096, "gold", "", "", "", ""},
		{1, strings.Repeat("\xff", 64<<10), "", "", "", ""},
	} {
		f.Add(seed.flags, seed.spec, seed.current, seed.target, seed.state, seed.text)
	}
	f.Fuzz(func(t *testing.T, flags uint16, spec, current, target, state, text string) {
		in := hostile(flags, spec, current, target, state, text)
		claim, volume := in.Claim.DeepCopy(), in.Volume.DeepCopy()
		d := modify.Decide(in)
		check(t, in, d)
		if diff := cmp.Diff(claim, in.Claim); diff != "" {
			t.Errorf("deciding has changed the claim (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(d, modify.Decide(in), protocmp.Transform(), cmp.Comparer(sameError)); diff != "" {
			t.Errorf("decided otherwise the second time (-first +second):\n%s", diff)
		}
		checkNext(t, in, d)
		if d.Plan != nil {
			checkAnswers(t, in, d)
		}
		if diff := cmp.Diff(volume, in.Volume); diff != "" {
			t.Errorf("the volume was changed (-before +after):\n%s", diff)
		}
	})
}

func hostile(flags uint16, spec, current, target, state, text string) modify.Input {
	in := situation()
	has := func(bit uint16) bool { return flags&bit != 0 }
	status := &in.Claim.Status
	if has(1) {
		in.Claim.Spec.VolumeAttributesClassName = &spec
	}
	if has(2) {
		status.CurrentVolumeAttributesClassName = &current
	}
	if has(4) {
		status.ModifyVolumeStatus = &corev1.ModifyVolumeStatus{Status: corev1.PersistentVolumeClaimModifyVolumeStatus(state), TargetVolumeAttributesClassName: target}
	}
	if has(8) {
		status.Conditions = append(status.Conditions, condition(modifying, text, early()))
	}
	if has(16) {
		status.Conditions = append(status.Conditions, condition(failing, text, early()))
	}
	in.Rested, in.Options.ExtraModifyMetadata = has(32), has(256)
	if !has(64) {
		in.Class = class(modify.Target(in.Claim))
		in.Class.Parameters[text] = spec
		if has(128) {
			in.Class.DriverName = text
		}
	}
	if has(512) {
		in.Volume.Spec.ClaimRef.Name = text
	}
	if has(1024) {
		in.Volume.Spec.CSI.Driver = text
	}
	if has(2048) {
		in.Volume.Annotations = map[string]string{
			"volume.kubernetes.io/controller-modify-secret-name": text, "volume.kubernetes.io/controller-modify-secret-namespace": spec,
		}
	}
	in.Capabilities.Modify = !has(4096)
	return in
}

// check checks what must hold for every decision.
func check(t *testing.T, in modify.Input, d modify.Decision) {
	t.Helper()
	if (d.Plan != nil) != (d.Verdict == modify.Act) {
		t.Errorf("%s with plan %v", verdicts()[d.Verdict], d.Plan)
	}
	if (d.Err != nil) != (d.Verdict == modify.Reject || d.Verdict == modify.Pending) {
		t.Errorf("%s with error %v", verdicts()[d.Verdict], d.Err)
	}
	if d.Err != nil && len(d.Err.Error()) > 8<<10 {
		t.Errorf("the error is of %d bytes", len(d.Err.Error()))
	}
	if d.Verdict != modify.Skip && !modify.Asks(in.Claim) {
		t.Errorf("%s about a claim that asks for nothing", verdicts()[d.Verdict])
	}
	onlyStatus(t, in.Claim, d.Claim)
	if d.Plan == nil {
		return
	}
	p := d.Plan
	switch {
	case in.Class == nil || in.Class.DriverName != driver || in.Volume.Spec.CSI.Driver != driver || in.Volume.Spec.ClaimRef.Name != "data" || !in.Capabilities.Modify:
		t.Errorf("the driver is asked for class %+v", in.Class)
	case len(p.Request.GetSecrets()) > 0:
		t.Error("the request holds secrets")
	case p.Target != modify.Target(in.Claim) || modify.Target(d.Claim) != p.Target:
		t.Errorf("the target is %q, of the claim %q, afterwards %q", p.Target, modify.Target(in.Claim), modify.Target(d.Claim))
	case d.Claim.Status.ModifyVolumeStatus.Status != corev1.PersistentVolumeClaimModifyVolumeInProgress:
		t.Errorf("the driver is called with status %s", show(d.Claim, in.Now))
	}
}

// checkNext decides about what was decided: nothing more may change.
func checkNext(t *testing.T, in modify.Input, d modify.Decision) {
	t.Helper()
	next := in
	next.Claim = d.Claim
	again := modify.Decide(next)
	if diff := cmp.Diff(d.Claim, again.Claim); diff != "" {
		t.Errorf("%s is not enough (-first +second):\n%s", verdicts()[d.Verdict], diff)
	}
	if d.Plan != nil && (again.Plan == nil || again.Plan.Begins || again.Plan.Target != d.Plan.Target) {
		t.Errorf("after the restart, %s", verdicts()[again.Verdict])
	}
}

func checkAnswers(t *testing.T, in modify.Input, d modify.Decision) {
	t.Helper()
	in.Claim = d.Claim
	done := modify.Conclude(in, d.Plan)
	onlyStatus(t, d.Claim, done.Claim)
	if *done.Volume.Spec.VolumeAttributesClassName != d.Plan.Target || *done.Claim.Status.CurrentVolumeAttributesClassName != d.Plan.Target {
		t.Errorf("the class is %q", *done.Volume.Spec.VolumeAttributesClassName)
	}
	for _, outcome := range []modify.Outcome{modify.Unfinished, modify.Final, modify.Infeasible} {
		failure := modify.Failure{Outcome: outcome, Code: "Code", Message: "message"}
		failed := modify.Failed(in, d.Plan, failure)
		onlyStatus(t, d.Claim, failed)
		next := in
		next.Claim = failed
		if diff := cmp.Diff(failed, modify.Failed(next, d.Plan, failure)); diff != "" {
			t.Errorf("the same failure once more (-first +second):\n%s", diff)
		}
		if outcome == modify.Unfinished && modify.Target(failed) != d.Plan.Target {
			t.Errorf("the target has become %q", modify.Target(failed))
		}
	}
}

// onlyStatus compares all that is not for this package to change.
func onlyStatus(t *testing.T, before, after *corev1.PersistentVolumeClaim) {
	t.Helper()
	rest := func(claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
		claim = claim.DeepCopy()
		claim.Status.ModifyVolumeStatus, claim.Status.CurrentVolumeAttributesClassName = nil, nil
		claim.Status.Conditions = slices.DeleteFunc(claim.Status.Conditions, func(c corev1.PersistentVolumeClaimCondition) bool {
			return c.Type == modifying || c.Type == failing
		})
		return claim
	}
	if diff := cmp.Diff(rest(before), rest(after)); diff != "" {
		t.Errorf("something else has changed (-before +after):\n%s", diff)
	}
}

func sameError(a, b error) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Error() == b.Error())
}
