package suite

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

const (
	reasonModify         = "VolumeModify"
	reasonModified       = "VolumeModifySuccessful"
	reasonModifyCanceled = "VolumeModifyCanceled"
	reasonModifyFailed   = "VolumeModifyFailed"

	modifyInProgress = corev1.PersistentVolumeClaimModifyVolumeInProgress
	modifyInfeasible = corev1.PersistentVolumeClaimModifyVolumeInfeasible
	modifyPending    = corev1.PersistentVolumeClaimModifyVolumePending
)

// attributes makes a VolumeAttributesClass for a driver, and returns its name.
func (s *scene) attributes(name, driver, key, value string) string {
	s.Helper()
	full := s.id + "-" + name
	s.apply(fmt.Sprintf("apiVersion: storage.k8s.io/v1\nkind: VolumeAttributesClass\nmetadata: {name: %s}\ndriverName: %s\nparameters: {%q: %q}", full, driver, key, value))
	s.Cleanup(func() {
		_ = shared.Client.StorageV1().VolumeAttributesClasses().Delete(context.WithoutCancel(s.ctx), full, metav1.DeleteOptions{})
	})
	return full
}

// name has a claim name a VolumeAttributesClass; empty for none.
func (s *scene) name(claim, class string) {
	s.Helper()
	s.settled(claim)
	value := "null"
	if class != "" {
		value = fmt.Sprintf("%q", class)
	}
	patch := fmt.Appendf(nil, `{"spec":{"volumeAttributesClassName":%s}}`, value)
	_, err := shared.Client.CoreV1().PersistentVolumeClaims(s.id).Patch(s.ctx, claim, types.MergePatchType, patch, metav1.PatchOptions{})
	s.must(err)
}

// modified waits until the claim has a class and nothing is left of its
// modification.
func (s *scene) modified(claim, class string) {
	s.Helper()
	found := s.untilClaim(claim, "has the class "+class, func(c *corev1.PersistentVolumeClaim) bool {
		return text(c.Status.CurrentVolumeAttributesClassName) == class && c.Status.ModifyVolumeStatus == nil
	})
	if left := modifyConditions(found); len(left) > 0 {
		s.Errorf("claim %s is left with the conditions %v", claim, left)
	}
	if got := text(s.volumeOf(claim).Spec.VolumeAttributesClassName); got != class {
		s.Errorf("the volume of claim %s has the class %q, want %q", claim, got, class)
	}
}

// modifying waits until the claim's modification has a status.
func (s *scene) modifying(claim string, status corev1.PersistentVolumeClaimModifyVolumeStatus) *corev1.PersistentVolumeClaim {
	s.Helper()
	return s.untilClaim(claim, "is "+string(status), func(c *corev1.PersistentVolumeClaim) bool {
		return c.Status.ModifyVolumeStatus != nil && c.Status.ModifyVolumeStatus.Status == status
	})
}

func modifyConditions(claim *corev1.PersistentVolumeClaim) []corev1.PersistentVolumeClaimConditionType {
	var found []corev1.PersistentVolumeClaimConditionType
	for _, condition := range claim.Status.Conditions {
		if condition.Type == corev1.PersistentVolumeClaimVolumeModifyingVolume || condition.Type == corev1.PersistentVolumeClaimVolumeModifyVolumeError {
			found = append(found, condition.Type)
		}
	}
	return found
}

func text(pointer *string) string {
	if pointer == nil {
		return ""
	}
	return *pointer
}

// modifications returns the values of a parameter in the ControllerModifyVolume
// calls for a claim, in their order; a value that was asked for again counts
// once.
func (s *scene) modifications(claim *corev1.PersistentVolumeClaim, key string) []string {
	s.Helper()
	values := []string{}
	for _, call := range s.callsFor(claim, "ControllerModifyVolume") {
		var request csipb.ControllerModifyVolumeRequest
		s.must(call.DecodeRequest(&request))
		values = append(values, request.GetMutableParameters()[key])
	}
	return slices.Compact(values)
}

func modifyingVolume(claim *corev1.PersistentVolumeClaim) control.Match {
	return control.Match{Method: "ControllerModifyVolume", Volume: string(claim.UID)}
}

// TestModify: the driver gets the class's parameters, who asks, and the Secret
// for it; and no more is written than is needed.
func TestModify(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.secret(s.id, "modify", arraySecret())
	p := s.proxy()
	s.through(p, "--extra-modify-metadata")
	claim := s.claim("c", s.class("sc", map[string]string{
		reservedPrefix + "controller-modify-secret-name":      "modify",
		reservedPrefix + "controller-modify-secret-namespace": s.id,
	}))
	volume := s.bound("c")
	gold := s.attributes("gold", s.driver.Name, "iops", "9000")
	s.name("c", gold)
	s.modified("c", gold)
	s.event(s.id, "c", reasonModified, "")

	calls := s.callsFor(claim, "ControllerModifyVolume")
	if len(calls) != 1 {
		t.Fatalf("ControllerModifyVolume was called %v", calls)
	}
	var request csipb.ControllerModifyVolumeRequest
	s.must(calls[0].DecodeRequest(&request))
	want := map[string]string{
		"iops":                           "9000",
		reservedPrefix + "pvc/name":      "c",
		reservedPrefix + "pvc/namespace": s.id,
		reservedPrefix + "pv/name":       volume.Name,
	}
	if diff := cmp.Diff(want, request.GetMutableParameters()); diff != "" {
		t.Errorf("mutable_parameters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(arraySecret(), calls[0].Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	if request.GetVolumeId() != volume.Spec.CSI.VolumeHandle {
		t.Errorf("the request is %v", &request)
	}
	s.cost(p, claim, 2, 1, map[string]int32{reasonModify: 1, reasonModified: 1})
}

// TestModifyInfeasible: a class that the driver refuses costs one call. The user
// may go on with another one at once, or go back.
func TestModifyInfeasible(t *testing.T) {
	t.Parallel()
	s := newScene(t, "--mutable-parameters=iops")
	s.sidecar("--retry-interval-max=5m")
	class := s.class("sc", nil)
	bad := s.attributes("bad", s.driver.Name, "colour", "red")
	silver := s.attributes("silver", s.driver.Name, "iops", "1000")
	gold := s.attributes("gold", s.driver.Name, "iops", "9000")
	for name, c := range map[string]struct {
		first, then string
		calls       []string // the values of iops
	}{
		"another":          {silver, gold, []string{"1000", "", "9000"}},
		"rollback":         {silver, silver, []string{"1000", "", "1000"}},
		"rollback-to-none": {"", "", []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			claim := s.claim(name, class)
			s.bound(name)
			if c.first != "" {
				s.name(name, c.first)
				s.modified(name, c.first)
			}
			s.name(name, bad)
			failed := s.modifying(name, modifyInfeasible)
			if failed.Status.ModifyVolumeStatus.TargetVolumeAttributesClassName != bad {
				t.Errorf("the status is %s", inJSON(failed.Status))
			}
			s.event(s.id, name, reasonModifyFailed, "colour")
			s.name(name, c.then)
			s.modified(name, c.then)
			if diff := cmp.Diff(c.calls, s.modifications(claim, "iops")); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if c.then == "" {
				s.event(s.id, name, reasonModifyCanceled, "")
			}
		})
	}
}

// TestModifyLateClass (W-C1): a class that is made after the claim has named it
// is picked up at once, and not only after a back-off.
func TestModifyLateClass(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar("--retry-interval-start=5m", "--retry-interval-max=5m")
	claim := s.claim("c", s.class("sc", nil))
	s.bound("c")
	s.name("c", s.id+"-late")
	s.modifying("c", modifyPending)
	t.Log(s.event(s.id, "c", reasonModifyFailed, "does not exist"))
	late := s.attributes("late", s.driver.Name, "iops", "1")
	s.modified("c", late)
	if diff := cmp.Diff([]string{"1"}, s.modifications(claim, "iops")); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestModifyForeignClass (W-C2): a class of another driver is refused.
func TestModifyForeignClass(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar("--retry-interval-start=5m", "--retry-interval-max=5m")
	claim := s.claim("c", s.class("sc", nil))
	s.bound("c")
	s.name("c", s.attributes("foreign", "foreign.example", "iops", "1"))
	t.Log(s.event(s.id, "c", reasonModifyFailed, "foreign.example"))
	own := s.attributes("own", s.driver.Name, "iops", "2")
	s.name("c", own)
	s.modified("c", own)
	if diff := cmp.Diff([]string{"2"}, s.modifications(claim, "iops")); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestModifyKilled: what a killed sidecar has begun is brought to its end by the
// next one, before another class that the claim names meanwhile.
func TestModifyKilled(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	sidecar := s.sidecar()
	claim := s.claim("c", s.class("sc", nil))
	s.bound("c")
	release := s.rule(control.Rule{ID: "slow", Match: modifyingVolume(claim), Hang: true})
	s.name("c", s.attributes("first", s.driver.Name, "iops", "1"))
	s.reached("slow")
	second := s.attributes("second", s.driver.Name, "iops", "2")
	s.name("c", second)
	s.must(sidecar.Kill())
	release()
	s.namedSidecar("next-" + s.id)
	s.modified("c", second)
	if diff := cmp.Diff([]string{"1", "2"}, s.modifications(claim, "iops")); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestModifyWriteFails: a modification ends well when any of its writes fails.
func TestModifyWriteFails(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := s.proxy()
	s.through(p, soon)
	class := s.class("sc", nil)
	gold := s.attributes("gold", s.driver.Name, "iops", "9000")
	progress := regexp.QuoteMeta(string(modifyInProgress))
	for write, of := range map[string]expandWrite{
		"begin":      {says: progress},
		"volume":     {volume: true, says: "volumeAttributesClassName"},
		"finish":     {says: "currentVolumeAttributesClassName"},
		"infeasible": {says: string(modifyInfeasible), code: codes.InvalidArgument},
		"final":      {says: "ModifyVolumeError", code: codes.Internal},
		"open":       {says: "ModifyVolumeError", code: codes.Unavailable},
	} {
		for fault, rule := range map[string]proxy.Rule{
			"conflict": {Status: proxy.Conflict()},
			"lost":     {Status: proxy.Timeout(), When: proxy.After},
			"error":    {Status: proxy.InternalError()},
		} {
			name := write + "-" + fault
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := s.in(t)
				claim := s.claim(name, class)
				s.bound(name)
				rule.Match, rule.Count = s.patches(name, of.says), 1
				if of.volume {
					rule.Match = volumePatches(claim)
				}
				injected := p.Add(rule)
				if of.code != codes.OK {
					s.rule(control.Rule{Match: modifyingVolume(claim), Count: 1, Code: of.code, Message: "once"})
				}
				s.name(name, gold)
				s.modified(name, gold)
				s.must(injected.Wait(s.ctx, 1))
			})
		}
	}
}

// TestExpandAndModifyTakeTurns (W-C21): the driver is never asked to expand a volume
// while it modifies it, and the other way round.
func TestExpandAndModifyTakeTurns(t *testing.T) {
	t.Parallel()
	for name, methods := range map[string][]string{
		"modify-first": {"ControllerModifyVolume", "ControllerExpandVolume"},
		"expand-first": {"ControllerExpandVolume", "ControllerModifyVolume"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, inController)
			s.sidecar()
			class := s.expandableClass("sc", nil)
			claim := s.claim("c", class)
			s.bound("c")
			gold := s.attributes("gold", s.driver.Name, "iops", "9000")
			begin := map[string]func(){
				"ControllerModifyVolume": func() { s.name("c", gold) },
				"ControllerExpandVolume": func() { s.ask("c", "2Gi") },
			}
			release := s.rule(control.Rule{ID: "slow", Match: control.Match{Method: methods[0], Volume: string(claim.UID)}, Hang: true})
			begin[methods[0]]()
			s.reached("slow")
			begin[methods[1]]()
			s.expandsAnother()
			if calls := s.callsFor(claim, methods[1]); len(calls) > 0 {
				t.Errorf("while %s works there are the calls %v", methods[0], calls)
			}
			release()
			s.modified("c", gold)
			s.expanded("c", "2Gi")
			for _, method := range methods {
				for _, call := range s.callsFor(claim, method) {
					if call.Code != codes.OK {
						t.Errorf("%s", call)
					}
				}
			}
		})
	}
}
