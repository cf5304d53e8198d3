package provision

import (
	"errors"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// handle is that of the claim's volume.
const handle = "h-" + volumeName

// carries stores a PersistentVolume of another claim with that name and the volume.
func (s *store) carries(name string) {
	s.volumes[name] = &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			ClaimRef: &corev1.ObjectReference{UID: "another"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: driverName, VolumeHandle: handle},
			},
		},
	}
}

// recorded leaves a record of a call without an answer, after which the volume exists, and
// has another process read it.
func recorded(t *testing.T, useless string) *world {
	t.Helper()
	w := newWorld(t)
	w.driver.answers = []answer{makesAndFailsWith(codes.DeadlineExceeded)}
	w.fails("DeadlineExceeded")
	w.journal.open[claimUID].Useless = useless
	w.driver.calls = nil
	w.crash()
	return w
}

// settle looks at the claim until there is nothing to do.
func (w *world) settle() {
	w.t.Helper()
	for range 5 {
		if _, err := w.reconcile(); err == nil && !w.state().Phase.Open() {
			return
		}
	}
}

func (w *world) deletes() bool { return strings.Contains(strings.Join(w.driver.calls, " "), "delete") }

// TestRecordsNeverHarmAVolume: whatever a record says, a volume that a PersistentVolume
// carries is not deleted, and gets no second PersistentVolume. A forged record names
// another claim's volume, and a restored one a volume whose PersistentVolume was created
// again meanwhile.
func TestRecordsNeverHarmAVolume(t *testing.T) {
	for name, c := range map[string]struct {
		useless string
		wanted  bool
		holder  string
	}{
		"a removal, another PersistentVolume":        {handle, false, "static"},
		"a removal, a PersistentVolume of that name": {handle, false, volumeName},
		"a removal, and the claim wants a volume":    {handle, true, "static"},
		"a request, the claim is gone":               {"", false, "static"},
		"a request, and the claim wants a volume":    {"", true, "static"},
		"a request, another claimRef":                {"", false, volumeName},
	} {
		t.Run(name, func(t *testing.T) {
			w := recorded(t, c.useless)
			if !c.wanted {
				w.deleteClaim()
			}
			w.store.carries(c.holder)
			_, _ = w.reconcile() // The cache is behind.
			w.store.cached = map[string]string{handle: c.holder}
			w.settle()
			w.atDriver(1)
			if w.deletes() {
				t.Errorf("the calls are %q", w.driver.calls)
			}
			if len(w.store.volumes) != 1 || w.store.writes > 0 {
				t.Errorf("%d PersistentVolumes were written", w.store.writes)
			}
			if !c.wanted {
				w.settled()
			}
			if c.wanted && !strings.Contains(strings.Join(w.events.all, "\n"), `PersistentVolume "static" carries it`) {
				t.Errorf("the events are %q", w.events.all)
			}
		})
	}
}

// TestHolderIsCertain: as long as it is not known whether a PersistentVolume carries the
// volume of a record, nothing is done with the volume.
func TestHolderIsCertain(t *testing.T) {
	for name, useless := range map[string]string{"removal": handle, "request": ""} {
		t.Run(name, func(t *testing.T) {
			w := recorded(t, useless)
			w.deleteClaim()
			w.store.holderErr = errors.New("the API server is away")
			w.fails("the API server is away")
			if w.deletes() {
				t.Errorf("the calls are %q", w.driver.calls)
			}
			w.store.holderErr = nil
			w.settle()
			w.atDriver(0)
			w.settled()
		})
	}
}

// TestVolumeOfAnotherPersistentVolume: a driver that returns a handle twice does not get
// the same data to two claims, nor has it deleted.
func TestVolumeOfAnotherPersistentVolume(t *testing.T) {
	for name, change := range map[string]func(*csipb.CreateVolumeResponse){
		"fit":   nil,
		"unfit": func(r *csipb.CreateVolumeResponse) { r.Volume.CapacityBytes = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.store.cached = map[string]string{handle: "static"}
			w.driver.answers = []answer{{change: change}}
			w.fails(`PersistentVolume "static" carries it`)
			w.atDriver(1)
			if w.store.writes > 0 || w.deletes() {
				t.Errorf("the calls are %q, %d PersistentVolumes were written", w.driver.calls, w.store.writes)
			}
			w.idle()
		})
	}
}
