package suite

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const storyManifests = `
apiVersion: v1
kind: Secret
metadata: {name: test-secret, namespace: default}
stringData: {username: admin, password: t0p-Secret}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: csi-pvc, namespace: story}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: story-csi-blockstorage-sc
  resources: {requests: {storage: 6Gi}}
`

// TestStory: an administrator makes a Secret and a class that names it, a user
// makes a claim; the volume is made, stored with the reference, and bound; the
// claim goes, and so does the volume.
func TestStory(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	class := s.class("csi-blockstorage-sc", map[string]string{
		"csi.storage.k8s.io/node-expand-secret-name":      "test-secret",
		"csi.storage.k8s.io/node-expand-secret-namespace": "default",
	}, "reclaimPolicy: Delete", "volumeBindingMode: Immediate", "allowVolumeExpansion: true")
	s.sidecar()
	s.apply(storyManifests)

	volume := s.bound("csi-pvc")
	claim, err := shared.Client.CoreV1().PersistentVolumeClaims(s.id).Get(s.ctx, "csi-pvc", metav1.GetOptions{})
	s.must(err)
	s.until("the volume is bound", func() (bool, error) {
		volume, err = shared.Client.CoreV1().PersistentVolumes().Get(s.ctx, volume.Name, metav1.GetOptions{})
		return err == nil && volume.Status.Phase == corev1.VolumeBound, err
	})

	if got := volume.Annotations[provisionedBy]; got != s.driver.Name {
		t.Errorf("annotation %s is %q, want %q", provisionedBy, got, s.driver.Name)
	}
	if got := volume.Spec.Capacity[corev1.ResourceStorage]; got.Cmp(resource.MustParse("6Gi")) != 0 {
		t.Errorf("capacity is %s, want 6Gi", got.String())
	}
	ref := volume.Spec.ClaimRef
	if ref == nil || ref.Kind != "PersistentVolumeClaim" || ref.APIVersion != "v1" || ref.Namespace != s.id || ref.Name != "csi-pvc" || ref.UID != claim.UID {
		t.Errorf("claimRef is %v", ref)
	}
	source := volume.Spec.CSI
	if source.Driver != s.driver.Name {
		t.Errorf("driver is %q", source.Driver)
	}
	if diff := cmp.Diff(&corev1.SecretReference{Name: "test-secret", Namespace: "default"}, source.NodeExpandSecretRef); diff != "" {
		t.Errorf("nodeExpandSecretRef (-want +got):\n%s", diff)
	}
	if source.VolumeAttributes[provisionerIdentity] == "" {
		t.Errorf("volumeAttributes are %v, without %s", source.VolumeAttributes, provisionerIdentity)
	}
	if have := s.volumes(); len(have) != 1 || have[0].ID != source.VolumeHandle || source.VolumeHandle == "" {
		t.Errorf("the driver has %v, the handle is %q", have, source.VolumeHandle)
	}
	affinity := &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{Key: s.driver.TopologyKey, Operator: corev1.NodeSelectorOpIn, Values: []string{"racknode01"}}},
	}}}}
	if diff := cmp.Diff(affinity, volume.Spec.NodeAffinity); diff != "" {
		t.Errorf("nodeAffinity (-want +got):\n%s", diff)
	}
	if got := volume.Spec.PersistentVolumeReclaimPolicy; got != corev1.PersistentVolumeReclaimDelete {
		t.Errorf("reclaim policy is %s", got)
	}
	if volume.Spec.StorageClassName != class {
		t.Errorf("class is %q, want %q", volume.Spec.StorageClassName, class)
	}
	if mode := volume.Spec.VolumeMode; mode == nil || *mode != corev1.PersistentVolumeFilesystem {
		t.Errorf("volumeMode is %v", mode)
	}
	s.event(s.id, "csi-pvc", reasonSucceeded, volume.Name)

	s.deleteClaim("csi-pvc")
	s.volumeGone(volume.Name)
	if have := s.volumes(); len(have) != 0 {
		t.Errorf("the driver still has %v", have)
	}
}
