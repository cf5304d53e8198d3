package provision

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// bindLate makes the class one whose claims wait for a node.
func bindLate(class *storagev1.StorageClass) {
	late := storagev1.VolumeBindingWaitForFirstConsumer
	class.VolumeBindingMode = &late
}

// TestOpenAttemptIsNeverDropped: while there may be a volume, no change that makes
// the claim look like one of others, or like one to be refused, ends the attempt:
// the volume is stored, or undone.
func TestOpenAttemptIsNeverDropped(t *testing.T) {
	changes := map[string]func(*world){
		"nothing": func(*world) {},
		"given to another driver": func(w *world) {
			w.setClaim(func(c *corev1.PersistentVolumeClaim) {
				selectNode("n1")(c)
				c.Annotations[names.StorageProvisioner] = "other.example"
			})
		},
		"no driver named": func(w *world) {
			w.setClaim(func(c *corev1.PersistentVolumeClaim) { c.Annotations = nil })
		},
		"no node selected": func(w *world) { w.setClaim(nil) },
		"selected node gone": func(w *world) {
			w.setClaim(selectNode("gone"))
		},
		"a selector": func(w *world) {
			w.setClaim(func(c *corev1.PersistentVolumeClaim) {
				selectNode("n1")(c)
				c.Spec.Selector = &metav1.LabelSelector{}
			})
		},
		"class gone": func(w *world) {
			w.must(w.classes.Delete(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}}))
		},
		"class of another driver": func(w *world) {
			w.setClass(func(class *storagev1.StorageClass) { class.Provisioner = "other.example" })
		},
		"class with an unknown parameter": func(w *world) {
			w.setClass(func(class *storagev1.StorageClass) { class.Parameters[names.ParameterPrefix+"unknown"] = "x" })
		},
		"class with a broken template": func(w *world) {
			w.setClass(func(class *storagev1.StorageClass) {
				class.Parameters[names.ParameterPrefix+"node-stage-secret-name"] = "${pvc.nme}"
			})
		},
	}
	for _, code := range []codes.Code{codes.DeadlineExceeded, codes.Internal} {
		for name, change := range changes {
			t.Run(code.String()+", "+name, func(t *testing.T) {
				w := newWorld(t)
				w.setClass(bindLate)
				w.setClaim(selectNode("n1"))
				w.driver.answers = []answer{makesAndFailsWith(code)}
				w.fails()
				change(w)
				w.works()
				w.sameRequests()
				w.atDriver(1)
				if len(w.driver.requests) != 2 || len(w.store.volumes) != 1 || len(w.rescheduled) > 0 {
					t.Errorf("%d calls, %d volumes stored, rescheduled %q; want the call repeated, and its volume stored",
						len(w.driver.requests), len(w.store.volumes), w.rescheduled)
				}
				w.settled()
			})
		}
	}
}

// TestCachesAreOnlyRead: the objects that a reconciliation finds in the caches are
// as they were afterwards; only the API server changes them.
func TestCachesAreOnlyRead(t *testing.T) {
	for name, prepare := range map[string]func(*world){
		"made":        func(*world) {},
		"failed":      func(w *world) { w.driver.answers = []answer{failsWith(codes.OutOfRange), failsWith(codes.Internal)} },
		"rescheduled": func(w *world) { w.driver.answers = []answer{failsWith(codes.ResourceExhausted)} },
		"node gone":   func(w *world) { w.setClass(bindLate); w.setClaim(selectNode("gone")) },
		"no Secret":   func(w *world) { w.vault.err = missing() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.setClaim(selectNode("n1"))
			prepare(w)
			var cached, before []runtime.Object
			for _, object := range append(w.claims.List(), w.classes.List()...) {
				cached = append(cached, object.(runtime.Object))
				before = append(before, object.(runtime.Object).DeepCopyObject())
			}
			for range 3 {
				_, _ = w.reconcile() // how it ends is for other tests
			}
			var after []runtime.Object
			for _, object := range append(w.claims.List(), w.classes.List()...) {
				after = append(after, object.(runtime.Object))
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("objects of the caches (-before +after):\n%s", diff)
			}
			if !slices.Equal(cached, after) {
				t.Error("the caches hold other objects than before")
			}
		})
	}
}

// TestVolumeThatIsStoredIsFoundByItsOwnName: whatever the names of volumes look
// like, one that is stored is not made again.
func TestVolumeThatIsStoredIsFoundByItsOwnName(t *testing.T) {
	for want, length := range map[string]int{"vol-7f1b5d9c0000": 12, "vol-" + claimUID: -1} {
		w := newWorld(t)
		w.c.config.Options.VolumeNamePrefix, w.c.config.Options.VolumeNameUUIDLength = "vol", length
		w.must(w.volumes.Add(&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: want}}))
		w.works()
		w.calls()
		w.settled()
	}
}
