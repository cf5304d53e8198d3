package suite

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// patientRetries are flags with which a claim that is retried too late fails the
// test.
func patientRetries() []string {
	return []string{"--retry-interval-start=5m", "--retry-interval-max=5m"}
}

// withAttributes has a claim name a VolumeAttributesClass.
func withAttributes(class string) func(*corev1.PersistentVolumeClaim) {
	return func(claim *corev1.PersistentVolumeClaim) { claim.Spec.VolumeAttributesClassName = &class }
}

// TestAttributesAtCreation: a claim waits for the VolumeAttributesClass that it names
// and goes on as soon as it is made; the volume is made with its parameters, and
// needs no modification afterwards.
func TestAttributesAtCreation(t *testing.T) {
	t.Parallel()
	s, _ := faultyDriver(t, patientRetries()...)
	class := s.class("class", nil)
	claim := s.claim("late", class, withAttributes(s.id+"-late"))
	t.Log(s.warning("late", `VolumeAttributesClass "`+s.id+`-late" does not exist`))
	s.attributes("late", s.driver.Name, "iops", "3000")
	s.boundToOne(claim)
	request, _ := s.created(0)
	if got := request.GetMutableParameters(); len(got) != 1 || got["iops"] != "3000" {
		t.Errorf("the driver got the mutable parameters %v", got)
	}
	s.modified("late", s.id+"-late")
	if calls := s.callsFor(claim, "ControllerModifyVolume"); len(calls) > 0 {
		t.Errorf("the new volume was modified: %v", calls)
	}

	foreign := s.attributes("foreign", "other.example", "iops", "1")
	s.claim("foreign", class, withAttributes(foreign))
	t.Log(s.warning("foreign", `is for CSI driver "other.example"`))
}

// TestAttributesThatTheDriverRefuses: the pause after InvalidArgument ends when the
// VolumeAttributesClass is made anew.
func TestAttributesThatTheDriverRefuses(t *testing.T) {
	t.Parallel()
	s, _ := faultyDriver(t, patientRetries()...)
	attributes := s.attributes("attributes", s.driver.Name, "iops", "1000000")
	s.rule(control.Rule{Match: forClaim("claim"), Count: 1, Code: codes.InvalidArgument, Message: "too many iops"})
	claim := s.claim("claim", s.class("class", nil), withAttributes(attributes))
	s.warning("claim", "too many iops", "tried again in 5m")
	s.must(shared.Client.StorageV1().VolumeAttributesClasses().Delete(s.ctx, attributes, metav1.DeleteOptions{}))
	// The class is protected as long as a claim names it.
	_, err := shared.Client.StorageV1().VolumeAttributesClasses().Patch(s.ctx, attributes, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	s.must(err)
	s.warning("claim", `VolumeAttributesClass "`+attributes+`" does not exist`)
	s.attributes("attributes", s.driver.Name, "iops", "3000")
	made := time.Now()
	s.boundToOne(claim)
	t.Logf("bound %s after the VolumeAttributesClass was made anew", time.Since(made))
	request, _ := s.created(1)
	if got := request.GetMutableParameters()["iops"]; got != "3000" {
		t.Errorf("the driver was asked for %q iops", got)
	}
}

// TestAttributesOff: without the gate there is no volume for a claim that names a
// VolumeAttributesClass: kube-controller-manager would not bind it.
func TestAttributesOff(t *testing.T) {
	t.Parallel()
	s, _ := faultyDriver(t, "--feature-gates=VolumeAttributesClass=false")
	class := s.class("class", nil)
	named := s.claim("named", class, withAttributes(s.attributes("attributes", s.driver.Name, "iops", "3000")))
	t.Log(s.warning("named", "the feature gate VolumeAttributesClass is off"))
	s.boundToOne(s.claim("plain", class))
	if calls := s.callsFor(named, "CreateVolume"); len(calls) > 0 {
		t.Errorf("the driver was called: %v", calls)
	}
}

// TestAttributesOfDriverThatModifiesNothing: the claim is told why it gets no volume,
// and one without a VolumeAttributesClass gets its.
func TestAttributesOfDriverThatModifiesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t, "--controller-capabilities=*,-MODIFY_VOLUME")
	s.sidecar()
	class := s.class("class", nil)
	s.claim("named", class, withAttributes(s.attributes("attributes", s.driver.Name, "iops", "3000")))
	s.claim("plain", class)
	s.bound("plain")
	t.Log(s.warning("named", "MODIFY_VOLUME"))
	if calls := s.calls("CreateVolume", 1); len(calls) != 1 {
		t.Errorf("CreateVolume was called for %v", calls)
	}
}
