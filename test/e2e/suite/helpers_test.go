package suite

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// reservedPrefix begins the parameters that are for the sidecar alone.
const reservedPrefix = "csi.storage.k8s.io/"

// soon is the flag by which a test need not wait long for the first retries.
const soon = "--retry-interval-start=100ms"

// longestEvent is the length in bytes that the API server takes for an event's
// message.
const longestEvent = 1024

// in is the scene for a sub-test, which shares the driver, the sidecar and the
// namespace with others.
func (s *scene) in(t *testing.T) *scene {
	sub := *s
	sub.T = t
	return &sub
}

// annotated is a claim with an annotation.
func annotated(key, value string) func(*corev1.PersistentVolumeClaim) {
	return func(claim *corev1.PersistentVolumeClaim) {
		metav1.SetMetaDataAnnotation(&claim.ObjectMeta, key, value)
	}
}

// modes is a claim with these access modes.
func modes(modes ...corev1.PersistentVolumeAccessMode) func(*corev1.PersistentVolumeClaim) {
	return func(claim *corev1.PersistentVolumeClaim) { claim.Spec.AccessModes = modes }
}

// block is a claim for a device.
func block(claim *corev1.PersistentVolumeClaim) {
	mode := corev1.PersistentVolumeBlock
	claim.Spec.VolumeMode = &mode
}

// changeClaim changes a claim that exists.
func (s *scene) changeClaim(name string, change func(*corev1.PersistentVolumeClaim)) {
	s.Helper()
	claims := shared.Client.CoreV1().PersistentVolumeClaims(s.id)
	s.until("claim "+name+" is changed", func() (bool, error) {
		claim, err := claims.Get(s.ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		change(claim)
		_, err = claims.Update(s.ctx, claim, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return false, nil
		}
		return err == nil, err
	})
}

// replaceClass puts another class in the place of one: the parameters of a class
// can't be changed.
func (s *scene) replaceClass(name string, parameters map[string]string, fields ...string) {
	s.Helper()
	s.must(shared.Client.StorageV1().StorageClasses().Delete(s.ctx, s.id+"-"+name, metav1.DeleteOptions{}))
	s.class(name, parameters, fields...)
}

// secret makes a Secret, or changes it.
func (s *scene) secret(namespace, name string, content map[string]string) {
	s.Helper()
	secrets := shared.Client.CoreV1().Secrets(namespace)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, StringData: content}
	_, err := secrets.Create(s.ctx, secret, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = secrets.Update(s.ctx, secret, metav1.UpdateOptions{})
	}
	s.must(err)
}

// provisionerSecret are the parameters that name a Secret of the scene's
// namespace for CreateVolume and DeleteVolume.
func (s *scene) provisionerSecret(name string) map[string]string {
	return map[string]string{
		reservedPrefix + "provisioner-secret-name":      name,
		reservedPrefix + "provisioner-secret-namespace": s.id,
	}
}

// keepsSecretsInside fails the test when an object holds a Secret's value.
func (s *scene) keepsSecretsInside(where string, object any) {
	s.Helper()
	content, err := json.Marshal(object)
	s.must(err)
	s.keepsSecrets(where, string(content))
}

// keepsSecretsInEvents looks at all events of the namespace.
func (s *scene) keepsSecretsInEvents() {
	s.Helper()
	events, err := shared.Client.CoreV1().Events(s.id).List(s.ctx, metav1.ListOptions{})
	s.must(err)
	s.keepsSecretsInside("an event", events)
}

// failures are the warnings of the sidecar about a claim.
func (s *scene) failures(claim string) []corev1.Event {
	s.Helper()
	events, err := shared.Client.CoreV1().Events(s.id).List(s.ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + claim})
	s.must(err)
	var found []corev1.Event
	for _, event := range events.Items {
		if event.Type == corev1.EventTypeWarning && event.Reason == reasonFailed && strings.HasPrefix(event.Source.Component, s.driver.Name) {
			found = append(found, event)
		}
	}
	s.keepsSecretsInside("an event", found)
	return found
}

// warning waits until the sidecar warns of something that says all of this about
// a claim, and returns what it says.
func (s *scene) warning(claim string, says ...string) string {
	s.Helper()
	return s.warnings(1, claim, says...)
}

// warnings does the same for something that is said at least that many times.
func (s *scene) warnings(times int32, claim string, says ...string) string {
	s.Helper()
	var found corev1.Event
	seen := map[string]int32{}
	s.Cleanup(func() {
		if s.Failed() {
			s.Logf("the warnings about claim %s were %v", claim, seen)
		}
	})
	s.until(fmt.Sprintf("%d warnings about claim %s say %q", times, claim, says), func() (bool, error) {
		for _, event := range s.failures(claim) {
			seen[event.Message] = event.Count
			if event.Count >= times && holdsAll(event.Message, says) {
				found = event
				return true, nil
			}
		}
		return false, nil
	})
	if len(found.Message) > longestEvent {
		s.Errorf("the event's message is of %d bytes", len(found.Message))
	}
	return found.Message
}

func holdsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// callsFor returns the driver's calls for a claim's volume, whether they have
// ended or not.
func (s *scene) callsFor(claim *corev1.PersistentVolumeClaim, method string) []control.Call {
	s.Helper()
	calls, err := s.driver.Control.Calls(s.ctx, control.Filter{Method: method, Volume: string(claim.UID)})
	s.must(err)
	return calls
}

// untouched fails the test when the driver was asked for the claim's volume.
func (s *scene) untouched(claim *corev1.PersistentVolumeClaim) {
	s.Helper()
	if calls := s.callsFor(claim, "CreateVolume"); len(calls) > 0 {
		s.Errorf("CreateVolume was called for claim %s: %v", claim.Name, calls)
	}
}

// requestFor returns the last CreateVolume for a claim.
func (s *scene) requestFor(claim *corev1.PersistentVolumeClaim) (*csipb.CreateVolumeRequest, control.Call) {
	s.Helper()
	calls := s.callsFor(claim, "CreateVolume")
	if len(calls) == 0 {
		s.Fatalf("CreateVolume was not called for claim %s", claim.Name)
	}
	call := calls[len(calls)-1]
	var request csipb.CreateVolumeRequest
	s.must(call.DecodeRequest(&request))
	return &request, call
}

// volumesOf returns the driver's volumes for a claim.
func (s *scene) volumesOf(claim *corev1.PersistentVolumeClaim) []control.Volume {
	s.Helper()
	var found []control.Volume
	for _, volume := range s.volumes() {
		if strings.Contains(volume.Name, string(claim.UID)) {
			found = append(found, volume)
		}
	}
	return found
}

// boundToOne waits until the claim is bound, and fails the test unless the
// driver has just that volume for it.
func (s *scene) boundToOne(claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	s.Helper()
	volume := s.bound(claim.Name)
	if have := s.volumesOf(claim); len(have) != 1 || have[0].ID != volume.Spec.CSI.VolumeHandle {
		s.Errorf("the driver has %v for claim %s, whose volume has the handle %q", have, claim.Name, volume.Spec.CSI.VolumeHandle)
	}
	return volume
}

// nothingLeft waits until the driver has no volume for the claim.
func (s *scene) nothingLeft(claim *corev1.PersistentVolumeClaim) {
	s.Helper()
	s.until("the driver has no volume for claim "+claim.Name, func() (bool, error) {
		return len(s.volumesOf(claim)) == 0, nil
	})
}

// claimGone waits until a claim is gone.
func (s *scene) claimGone(name string) {
	s.Helper()
	s.until("claim "+name+" is gone", func() (bool, error) {
		_, err := shared.Client.CoreV1().PersistentVolumeClaims(s.id).Get(s.ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
}
