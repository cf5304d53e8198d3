package suite

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// TestDeleteWhileAttached: a volume whose claim has gone waits until it is
// detached, and is deleted as soon as it is.
func TestDeleteWhileAttached(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	class := s.class("sc", nil)
	// Nobody is to attach the volume to a real node meanwhile, so a long retry
	// shows that it is the detaching that ends the wait.
	s.sidecar("--retry-interval-max=5m")
	s.claim("c", class)
	volume := s.bound("c")

	attachment := &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: s.id},
		Spec: storagev1.VolumeAttachmentSpec{
			Attacher: "nobody." + s.driver.Name,
			NodeName: "node-" + s.id,
			Source:   storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume.Name},
		},
	}
	_, err := shared.Client.StorageV1().VolumeAttachments().Create(s.ctx, attachment, metav1.CreateOptions{})
	s.must(err)
	s.deleteClaim("c")
	s.event(metav1.NamespaceDefault, volume.Name, reasonFailedDelete, "still attached to node node-"+s.id)
	if calls, err := s.driver.Control.Calls(s.ctx, control.Filter{Method: "DeleteVolume"}); err != nil || len(calls) != 0 {
		t.Fatalf("the attached volume was deleted: %v, %v", calls, err)
	}

	s.must(shared.Client.StorageV1().VolumeAttachments().Delete(s.ctx, s.id, metav1.DeleteOptions{}))
	s.volumeGone(volume.Name)
	if have := s.volumes(); len(have) != 0 {
		t.Errorf("the driver still has %v", have)
	}
}

// TestDeleteFails: a driver that can't delete is asked again, the volume stays
// known until it can, and deleting what is gone already is no error.
func TestDeleteFails(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	class := s.class("sc", nil)
	s.sidecar()
	s.claim("c", class)
	volume := s.bound("c")
	if !slices.Contains(volume.Finalizers, volumeFinalizer) {
		t.Errorf("finalizers are %v, without %s", volume.Finalizers, volumeFinalizer)
	}
	s.rule(control.Rule{Match: control.Match{Method: "DeleteVolume"}, Count: 1, Code: codes.Internal, Message: "the array is on fire"})
	s.rule(control.Rule{Match: control.Match{Method: "DeleteVolume"}, Count: 1, When: control.After, Code: codes.DeadlineExceeded})
	s.rule(control.Rule{Match: control.Match{Method: "DeleteVolume"}, Count: 1, When: control.After, Code: codes.NotFound})
	s.deleteClaim("c")
	s.event(metav1.NamespaceDefault, volume.Name, reasonFailedDelete, "the array is on fire")
	s.volumeGone(volume.Name)
	if calls := s.calls("DeleteVolume", 3); len(calls) != 3 {
		t.Errorf("DeleteVolume was called %d times, want 3", len(calls))
	}
}

// TestForeignVolumesAreLeftAlone: neither a volume of another driver nor one
// that another program has provisioned is deleted, or changed.
func TestForeignVolumesAreLeftAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	class := s.class("sc", nil)
	s.sidecar()
	foreign := map[string]*corev1.PersistentVolume{
		"other-driver":      s.released("other-driver", "other.example", nil),
		"other-provisioner": s.released("other-provisioner", s.driver.Name, map[string]string{provisionedBy: "other.example"}),
		"our-name-only":     s.released("our-name-only", "other.example", map[string]string{provisionedBy: s.driver.Name}),
	}
	// A volume of this driver comes and goes; by then the others were looked at.
	s.claim("c", class)
	own := s.bound("c")
	s.deleteClaim("c")
	s.volumeGone(own.Name)
	for name, before := range foreign {
		now, err := shared.Client.CoreV1().PersistentVolumes().Get(s.ctx, before.Name, metav1.GetOptions{})
		s.must(err)
		if now.DeletionTimestamp != nil || !slices.Equal(now.Finalizers, before.Finalizers) {
			t.Errorf("%s was touched: %v", name, now.ObjectMeta)
		}
	}
	for _, call := range s.calls("DeleteVolume", 1) {
		if call.VolumeID != own.Spec.CSI.VolumeHandle {
			t.Errorf("DeleteVolume was called for %q", call.VolumeID)
		}
	}
}

// released makes a volume that is Released and has the policy Delete.
func (s *scene) released(name, driver string, annotations map[string]string) *corev1.PersistentVolume {
	s.Helper()
	gigabyte := corev1.ResourceList{corev1.ResourceStorage: *oneGi()}
	client := shared.Client.CoreV1().PersistentVolumes()
	volume, err := client.Create(s.ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: s.id + "-" + name, Annotations: annotations},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Capacity:                      gigabyte,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			ClaimRef:                      &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: s.id, Name: "gone", UID: types.UID("gone-" + name)},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: name},
			},
		},
	}, metav1.CreateOptions{})
	s.must(err)
	s.Cleanup(func() {
		_ = client.Delete(context.WithoutCancel(s.ctx), volume.Name, metav1.DeleteOptions{})
	})
	s.until(volume.Name+" is released", func() (bool, error) {
		volume, err = client.Get(s.ctx, volume.Name, metav1.GetOptions{})
		return err == nil && volume.Status.Phase == corev1.VolumeReleased, err
	})
	return volume
}
