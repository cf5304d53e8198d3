package suite

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// refusal is the API server's answer to an object that it will never take.
func refusal(code int32, reason metav1.StatusReason, message string) *metav1.Status {
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: code, Reason: reason, Message: message,
	}
}

// TestRefusedPersistentVolume: a PersistentVolume that the API server refuses for
// good is reported on the claim, and its volume is deleted rather than kept indefinitely;
// when the API server takes it, the claim gets one.
func TestRefusedPersistentVolume(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	p := s.proxy()
	s.through(p, soon)
	for name, answer := range map[string]*metav1.Status{
		"invalid":   refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "spec.nodeAffinity: Invalid value"),
		"too-large": refusal(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, "Request entity too large: limit is 3145728"),
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			refused := p.Add(proxy.Rule{Match: proxy.Match{Method: http.MethodPost, Path: "/persistentvolumes$"}, Status: answer})
			claim := s.claim(name, s.class(name, nil))
			t.Log(s.warning(name, answer.Message, "refused for good"))
			s.until("the volume is deleted", func() (bool, error) { return len(s.callsFor(claim, "DeleteVolume")) > 0, nil })

			gone := s.claim(name+"-gone", s.id+"-"+name)
			s.warning(gone.Name, answer.Message)
			s.deleteClaim(gone.Name)
			s.claimGone(gone.Name)
			s.nothingLeft(gone)

			refused.Remove()
			s.boundToOne(claim)
			s.journalEmpty()
		})
	}
}

// TestNameIsTaken: a PersistentVolume of the same name counts as stored only if it is
// the claim's. Otherwise the volume is deleted, the other one is left alone, and the
// claim goes on when the name is free.
func TestNameIsTaken(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	release := s.rule(control.Rule{ID: "made", Match: control.Match{Method: "CreateVolume"}, When: control.After, Hang: true, Count: 1})
	claim := s.claim("c", s.class("sc", nil))
	s.reached("made")
	name := "pvc-" + string(claim.UID)
	s.byHand(name, s.driver.Name, "9be7e83e-0000-0000-0000-000000000000")
	release()
	t.Log(s.warning("c", `"`+name+`" exists already and belongs to claim `+s.id+`/c`))
	s.nothingLeft(claim)
	s.journalEmpty()
	other, err := shared.Client.CoreV1().PersistentVolumes().Get(s.ctx, name, metav1.GetOptions{})
	s.must(err)
	if other.Spec.CSI.VolumeHandle != "by-hand" || other.DeletionTimestamp != nil {
		t.Errorf("the other volume has become %+v", other)
	}
	s.must(shared.Client.CoreV1().PersistentVolumes().Delete(s.ctx, name, metav1.DeleteOptions{}))
	s.boundToOne(claim)
}

// byHand makes a PersistentVolume for the claim c of that UID; without one, for
// whatever claim has the name.
func (s *scene) byHand(name, driver, claimUID string) {
	s.Helper()
	s.apply(fmt.Sprintf(`
apiVersion: v1
kind: PersistentVolume
metadata: {name: %s}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: %s-sc
  csi: {driver: %s, volumeHandle: by-hand}
  claimRef: {apiVersion: v1, kind: PersistentVolumeClaim, namespace: %s, name: c, uid: %q}
`, name, s.id, driver, s.id, claimUID))
	s.Cleanup(func() {
		_ = shared.Client.CoreV1().PersistentVolumes().Delete(context.WithoutCancel(s.ctx), name, metav1.DeleteOptions{})
	})
}

// TestBoundElsewhere: a claim that is bound to another volume while its own is being
// made keeps the other one, and its own is deleted; also when the sidecar is killed
// before it knows.
func TestBoundElsewhere(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed %t", killed), func(t *testing.T) {
			s := s.in(t)
			class := s.class("sc", nil)
			sidecar := s.namedSidecar(fmt.Sprintf("first-%t-%s", killed, s.id), soon)
			id := fmt.Sprintf("made-%t", killed)
			release := s.rule(control.Rule{ID: id, Match: control.Match{Method: "CreateVolume"}, When: control.After, Hang: true, Count: 1})
			claim := s.claim("c", class)
			s.reached(id)
			s.until("the volume is made", func() (bool, error) { return len(s.volumesOf(claim)) == 1, nil })
			if killed {
				s.must(sidecar.Kill())
			}
			other := fmt.Sprintf("%s-other-%t", s.id, killed)
			s.byHand(other, "other.example", "")
			if volume := s.bound("c"); volume.Name != other {
				t.Fatalf("the claim is bound to %s", volume.Name)
			}
			release()
			if killed {
				sidecar = s.namedSidecar("next-"+s.id, soon)
			}
			s.nothingLeft(claim)
			s.journalEmpty()
			if volume := s.bound("c"); volume.Name != other || volume.Status.Phase != corev1.VolumeBound {
				t.Errorf("the claim's volume is %s, %s", volume.Name, volume.Status.Phase)
			}
			s.must(sidecar.Kill())
			s.deleteClaim("c")
			s.claimGone("c")
		})
	}
}

// TestClassGoneInDoubt: a claim whose class is deleted while its volume is being made
// gets that volume.
func TestClassGoneInDoubt(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	release := s.rule(control.Rule{ID: "made", Match: control.Match{Method: "CreateVolume"}, When: control.After, Hang: true, Count: 1})
	claim := s.claim("c", s.class("sc", nil))
	s.reached("made")
	s.must(shared.Client.StorageV1().StorageClasses().Delete(s.ctx, s.id+"-sc", metav1.DeleteOptions{}))
	release()
	s.boundToOne(claim)
	s.journalEmpty()
}
