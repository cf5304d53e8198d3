package deletion_test

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller/deletion"
)

// A process that has just taken over: its cache may be behind what the one before it has
// seen, and done.
func TestVolumeIsDeletedByWhatTheAPIServerSays(t *testing.T) {
	changed := func(change func(*corev1.PersistentVolume)) func() (*corev1.PersistentVolume, error) {
		return func() (*corev1.PersistentVolume, error) {
			volume := newVolume()
			change(volume)
			return volume, nil
		}
	}
	for name, c := range map[string]struct {
		live    func() (*corev1.PersistentVolume, error)
		fails   bool
		deleted bool
	}{
		"as in the cache": {live: changed(func(*corev1.PersistentVolume) {}), deleted: true},
		"to be retained":  {live: changed(retained)},
		"replaced":        {live: changed(func(v *corev1.PersistentVolume) { v.UID = "uid-2" })},
		"bound again":     {live: changed(func(v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumeBound })},
		"gone": {live: func() (*corev1.PersistentVolume, error) {
			return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "persistentvolumes"}, "pv-1")
		}},
		"unreadable": {live: func() (*corev1.PersistentVolume, error) { return nil, errors.New("no leader") }, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.subject = deletion.New(w.deps, w.config)
			w.live = c.live
			result, err := w.reconcile()
			if result.Again {
				t.Error("it is tried again before the cache can have caught up")
			}
			if (err != nil) != c.fails {
				t.Errorf("Reconcile: error %v", err)
			}
			deleted := false
			for _, call := range w.calls {
				deleted = deleted || call == "DeleteVolume h-1"
			}
			if deleted != c.deleted {
				t.Errorf("calls %q: deleted is %t, want %t", w.calls, deleted, c.deleted)
			}
		})
	}
}

// Later, the cache is enough: no request is made for each deletion.
func TestVolumeIsDeletedByTheCacheLater(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.reconcile(); err != nil {
		t.Fatal(err)
	}
	if w.liveReads > 0 {
		t.Errorf("%d reads", w.liveReads)
	}
}
