package provision

import (
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// crash has a new controller take over what the journal holds. Its caches are as new as its
// lease.
func (w *world) crash() {
	w.t.Helper()
	w.c = New(w.c.deps, w.c.config)
	var stored []any
	for _, volume := range w.store.volumes {
		stored = append(stored, volume)
	}
	w.must(w.volumes.Replace(stored, ""))
	w.must(w.c.TakeOver())
	var found []*journal.Intent
	for _, intent := range w.journal.open {
		found = append(found, intent)
	}
	w.c.Resume(found)
}

// kept is a class whose volumes are retained.
func kept(class *storagev1.StorageClass) {
	policy := corev1.PersistentVolumeReclaimRetain
	class.ReclaimPolicy = &policy
}

func TestNothingIsCalledWithoutARecord(t *testing.T) {
	w := newWorld(t)
	w.journal.errs = []error{errors.New("no leader")}
	w.waitsFor(w.fails("no leader"), dependencies()...)
	w.calls()
	w.idle()
	w.works()
	w.atDriver(1)
	w.settled()
}

func TestNextProcessRepeatsTheRequest(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{makesAndFailsWith(codes.DeadlineExceeded)}
	w.fails("DeadlineExceeded")
	w.fixClass("silver")
	w.crash()
	w.works()
	w.sameRequests()
	w.calls("create gold", "create gold")
	w.settled()
}

// A failure that leaves it open whether there is a volume: the new request is
// recorded, with the old one.
func TestReplacementIsRecordedWithWhatItReplaces(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{makesAndFailsWith(codes.Internal), failsWith(codes.Unavailable)}
	w.fails("Internal")
	w.fixClass("silver")
	w.fails("Unavailable")
	if n := len(w.journal.open[claimUID].Plans); n != 2 {
		t.Fatalf("%d plans are recorded", n)
	}
	w.crash()
	w.fails("AlreadyExists") // That of silver, so gold it was.
	w.crash()
	w.fails("AlreadyExists") // The process died before it recorded that.
	w.works()
	w.calls("create gold", "create silver", "create silver", "create silver", "create gold")
	w.settled()
}

func TestNextProcessFindsTheVolumeStored(t *testing.T) {
	w := newWorld(t)
	w.works()
	stored := w.store.volumes[volumeName]
	w.journal.open[claimUID] = w.journal.last // Its end was not written.
	w.crash()
	w.works()
	w.calls("create gold")
	if w.store.volumes[volumeName] != stored || len(w.journal.open) > 0 {
		t.Error("the intent has not just ended")
	}
	// The caches need not show it yet.
	w.works()
	w.calls("create gold")
	// The same with the claim gone: it is the volume's policy that counts now.
	w.deleteClaim()
	w.works()
	w.calls("create gold")
	w.settled()
}

func TestUnreadableVolumeIsNotTakenForGone(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{makesAndFailsWith(codes.Unavailable)}
	w.fails("Unavailable")
	w.deleteClaim()
	w.crash()
	w.store.getErrs = []error{errors.New("no leader")}
	w.fails("no leader")
	w.calls("create gold")
	w.works()
	w.calls("create gold", "create gold", removing)
	w.settled()
}

func TestRetainedVolumeOfAnotherProcessIsStored(t *testing.T) {
	w := newWorld(t)
	w.setClass(kept)
	w.driver.answers = []answer{makesAndFailsWith(codes.Unavailable)}
	w.fails("Unavailable")
	w.deleteClaim()
	w.crash()
	w.works()
	w.atDriver(1)
	if w.store.volumes[volumeName] == nil {
		t.Error("it is not stored")
	}
	w.settled()
}

// It was never stored, so nobody has ever used it.
func TestOwnRetainedVolumeIsDeleted(t *testing.T) {
	w := newWorld(t)
	w.setClass(kept)
	w.driver.answers = []answer{makesAndFailsWith(codes.Unavailable)}
	w.fails("Unavailable")
	w.deleteClaim()
	w.works()
	w.atDriver(0)
	w.settled()
}

// The driver may still be at it, and would be told to make the volume meanwhile.
func TestDeletionOfUselessVolumeIsGoneOnWith(t *testing.T) {
	w := newWorld(t)
	w.store.errs = []error{refused()}
	w.driver.deletions = []error{errors.New("gone away")}
	w.fails("gone away")
	if useless := w.journal.open[claimUID].Useless; useless != "h-"+volumeName {
		t.Errorf("recorded as useless is %q", useless)
	}
	w.crash()
	w.works()
	w.calls("create gold", removing, removing, "create gold")
	w.settled()
}

func TestRefusedVolumeThatMayHaveBeenStoredIsKept(t *testing.T) {
	for policy, change := range map[string]func(*storagev1.StorageClass){"retain": kept, "delete": nil} {
		t.Run(policy, func(t *testing.T) {
			w := newWorld(t)
			w.setClass(change)
			w.store.errs = []error{errors.New("no answer"), refused()}
			w.fails("no answer")
			w.fails(kube.ErrRefused.Error())
			want := map[string]int{"retain": 1, "delete": 0}[policy]
			w.atDriver(want)
			w.works()
			w.atDriver(1)
			w.settled()
		})
	}
}

// A claim whose PersistentVolume the cache has shown has its volume. If the cache shows it no
// longer, it is looked up how things are: the cache of claims may be behind.
func TestShownVolumeIsNotMadeAgain(t *testing.T) {
	gone := func() (*corev1.PersistentVolumeClaim, error) { return nil, missing() }
	for name, c := range map[string]struct {
		// takeOver tells that the PersistentVolume was there when this process took over.
		takeOver bool
		// live is the claim at the API server, unbound if nil.
		live func() (*corev1.PersistentVolumeClaim, error)
		// volume is the PersistentVolume that was shown.
		volume      func(*corev1.PersistentVolume)
		calls, read int
	}{
		"was there, claim gone":         {takeOver: true, live: gone, read: 1},
		"appeared, claim gone":          {live: gone, read: 1},
		"was there, claim waits again":  {takeOver: true, calls: 1, read: 1},
		"appeared, of no claim":         {volume: func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil }, calls: 1},
		"appeared, of an earlier claim": {volume: func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "earlier" }, calls: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			claim, err := w.c.deps.Claims.PersistentVolumeClaims("ns").Get("claim")
			w.must(err)
			volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: volumeName}, Spec: corev1.PersistentVolumeSpec{
				ClaimRef: &corev1.ObjectReference{Namespace: "ns", Name: "claim", UID: claim.UID},
			}}
			if c.volume != nil {
				c.volume(volume)
			}
			if c.takeOver {
				w.must(w.volumes.Add(volume))
				w.must(w.c.TakeOver())
				w.must(w.volumes.Delete(volume))
			} else {
				w.c.Shown(volume)
			}
			w.live = c.live
			w.works()
			if len(w.driver.calls) != c.calls || w.liveReads != c.read {
				t.Errorf("%d calls and %d live reads, want %d and %d", len(w.driver.calls), w.liveReads, c.calls, c.read)
			}
			w.deleteClaim()
			w.works()
			if n := len(w.c.claims.shown) + len(w.c.claims.records); n > 0 {
				t.Errorf("%d claims are remembered", n)
			}
		})
	}
}

// A volume is made without a request that reads at the API server.
func TestNothingIsRead(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{failsWith(codes.OutOfRange)}
	w.fails("OutOfRange")
	w.works()
	w.atDriver(1)
	if w.liveReads > 0 || w.store.gets > 0 {
		t.Errorf("%d reads of the claim, %d of its PersistentVolume", w.liveReads, w.store.gets)
	}
}

func TestUnreadableClaimIsLookedUpAgain(t *testing.T) {
	w := newWorld(t)
	claim, err := w.c.deps.Claims.PersistentVolumeClaims("ns").Get("claim")
	w.must(err)
	w.c.Shown(&corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
		ClaimRef: &corev1.ObjectReference{Namespace: "ns", Name: "claim", UID: claim.UID},
	}})
	w.live = func() (*corev1.PersistentVolumeClaim, error) { return nil, unreadable() }
	w.fails("the API server is away")
	w.live = nil
	w.store.getErrs = []error{unreadable()}
	w.fails("the API server is away")
	w.calls()
	w.works()
	w.atDriver(1)
}
