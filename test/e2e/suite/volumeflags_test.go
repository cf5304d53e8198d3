package suite

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// ruleLarger makes the volume of a claim that many bytes larger.
func ruleLarger(claim string, bytes int64) control.Rule {
	return control.Rule{Match: forClaim(claim), CapacityDelta: bytes}
}

// TestVolumeNames: with --volume-name-prefix and --volume-name-uuid-length the
// volume has the same name at the driver and in Kubernetes.
func TestVolumeNames(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon, "--volume-name-prefix=vol", "--volume-name-uuid-length=12")
	claim := s.claim("claim", s.class("class", nil))
	volume := s.bound(claim.Name)
	want := "vol-" + strings.ReplaceAll(string(claim.UID), "-", "")[:12]
	if volume.Name != want {
		t.Errorf("the volume is %q, want %q", volume.Name, want)
	}
	if have := s.volumes(); len(have) != 1 || have[0].Name != want {
		t.Errorf("the driver has %v, want %q", have, want)
	}
	s.deleteClaim(claim.Name)
	s.volumeGone(volume.Name)
	if have := s.volumes(); len(have) != 0 {
		t.Errorf("the driver still has %v", have)
	}
}

// TestVolumeFlags: the flags that change what is asked for, and what is stored.
func TestVolumeFlags(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon, "--extra-create-metadata", "--default-fstype=ext4", "--controller-publish-readonly")
	class := s.class("class", map[string]string{"colour": "red"})
	own := s.class("own", map[string]string{reservedPrefix + "fstype": "xfs"})
	const once, readers, many = corev1.ReadWriteOnce, corev1.ReadOnlyMany, corev1.ReadWriteMany
	for name, c := range map[string]struct {
		class    string
		change   func(*corev1.PersistentVolumeClaim)
		fsType   string
		readOnly bool
	}{
		"default-fstype": {class, modes(once), "ext4", false},
		"own-fstype":     {own, modes(once), "xfs", false},
		"block":          {class, block, "", false},
		"readers":        {class, modes(readers), "ext4", true},
		"readers-too":    {class, modes(readers, many), "ext4", false},
	} {
		claim := s.claim(name, c.class, c.change)
		volume := s.boundToOne(claim)
		request, _ := s.requestFor(claim)
		if got := request.GetVolumeCapabilities()[0].GetMount().GetFsType(); got != c.fsType || volume.Spec.CSI.FSType != c.fsType {
			t.Errorf("%s: the request's file system is %q, the volume's %q, want %q", name, got, volume.Spec.CSI.FSType, c.fsType)
		}
		if volume.Spec.CSI.ReadOnly != c.readOnly {
			t.Errorf("%s: the volume is read-only: %t", name, volume.Spec.CSI.ReadOnly)
		}
		want := map[string]string{
			reservedPrefix + "pvc/name":      name,
			reservedPrefix + "pvc/namespace": s.id,
			reservedPrefix + "pv/name":       volume.Name,
		}
		if c.class == class {
			want["colour"] = "red"
		}
		if diff := cmp.Diff(want, request.GetParameters()); diff != "" {
			t.Errorf("%s: the request's parameters (-want +got):\n%s", name, diff)
		}
	}
}

// TestRetain: a volume that is to be kept is, and carries no finalizer.
func TestRetain(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sidecar(soon)
	kept := s.claim("kept", s.class("retain", nil, "reclaimPolicy: Retain"))
	deleted := s.claim("deleted", s.class("delete", nil, "reclaimPolicy: Delete"))
	keptVolume, deletedVolume := s.boundToOne(kept), s.boundToOne(deleted)
	if slices.Contains(keptVolume.Finalizers, volumeFinalizer) || !slices.Contains(deletedVolume.Finalizers, volumeFinalizer) {
		t.Errorf("the finalizers are %q with Retain, and %q with Delete", keptVolume.Finalizers, deletedVolume.Finalizers)
	}
	s.deleteClaim(kept.Name)
	s.until("the kept volume is released", func() (bool, error) {
		volume, err := shared.Client.CoreV1().PersistentVolumes().Get(s.ctx, keptVolume.Name, metav1.GetOptions{})
		return err == nil && volume.Status.Phase == corev1.VolumeReleased, err
	})
	// The other is deleted after that, by the same sidecar.
	s.deleteClaim(deleted.Name)
	s.volumeGone(deletedVolume.Name)
	if calls := s.callsFor(kept, "DeleteVolume"); len(calls) > 0 || len(s.volumesOf(kept)) != 1 {
		t.Errorf("the driver has %v after %v", s.volumesOf(kept), calls)
	}
	volume, err := shared.Client.CoreV1().PersistentVolumes().Get(s.ctx, keptVolume.Name, metav1.GetOptions{})
	s.must(err)
	if slices.Contains(volume.Finalizers, volumeFinalizer) {
		t.Errorf("the kept volume has the finalizers %q", volume.Finalizers)
	}
}
