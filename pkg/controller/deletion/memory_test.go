package deletion_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller/deletion"
	"github.com/csi-provisioner/csi-provisioner/test/tables"
)

// nowhere has no volume attached.
type nowhere struct{}

func (nowhere) AttachedTo(string) ([]string, error) { return nil, nil }

// Whenever a PersistentVolume goes, nothing of it is kept in the end.
func TestNothingIsKeptOfManyVolumes(t *testing.T) {
	w := newWorld(t, nil)
	w.deps.Attachments = nowhere{}
	w.subject = deletion.New(w.deps, w.config)
	gone := func(v *corev1.PersistentVolume) {
		if err := w.volumes.Delete(v); err != nil {
			t.Fatal(err)
		}
		w.subject.VolumeGone(v.UID)
	}
	replaced := func(v *corev1.PersistentVolume) {
		next := v.DeepCopy()
		next.UID += "-next"
		w.put(w.volumes, next)
		w.subject.VolumeGone(v.UID)
	}
	for n := range 10_000 {
		volume := newVolume()
		volume.Name, volume.UID = fmt.Sprint("pv-", n), types.UID(fmt.Sprint("uid-", n))
		w.put(w.volumes, volume)
		// By force, while the driver deletes the volume, or when it should go.
		when := []string{"DeleteVolume", "RemoveFinalizer", "Delete", ""}[n%4]
		how := []func(*corev1.PersistentVolume){gone, replaced}[n/4%2]
		w.waits = map[string]func(){when: func() { how(volume) }}
		if _, err := w.subject.Reconcile(t.Context(), volume.Name); err != nil {
			t.Fatal(err)
		}
		if when == "" {
			how(volume)
		}
		w.calls = nil
	}
	if kept := tables.NotEmpty(w.subject, "deps", "config"); len(kept) > 0 {
		t.Errorf("kept is %q", kept)
	}
}
