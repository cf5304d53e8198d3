package provision

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// crash has a new controller take over what the journal holds.
func (w *world) crash() {
	w.t.Helper()
	w.c = New(w.c.deps, w.c.config)
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

// TestDoubts: a claim that may have a volume already is looked up.
func TestDoubts(t *testing.T) {
	old := func(claim *corev1.PersistentVolumeClaim) { claim.CreationTimestamp = metav1.Time{} }
	fresh := func(claim *corev1.PersistentVolumeClaim) {
		claim.CreationTimestamp = metav1.NewTime(time.Unix(1_700_000_000, 0).Add(time.Minute))
	}
	gone := func() (*corev1.PersistentVolumeClaim, error) { return nil, missing() }
	for name, c := range map[string]struct {
		claim func(*corev1.PersistentVolumeClaim)
		// live changes the claim at the API server; stored is its volume there.
		live      func(*corev1.PersistentVolumeClaim)
		gone      bool
		stored    bool
		want      int
		liveReads int
	}{
		"new":                            {claim: fresh, want: 1},
		"old":                            {claim: old, want: 1, liveReads: 1},
		"old, and bound":                 {claim: old, live: func(claim *corev1.PersistentVolumeClaim) { claim.Spec.VolumeName = "other" }, liveReads: 1},
		"old, and being deleted":         {claim: old, live: func(claim *corev1.PersistentVolumeClaim) { claim.DeletionTimestamp = &metav1.Time{} }, liveReads: 1},
		"old, and replaced":              {claim: old, live: func(claim *corev1.PersistentVolumeClaim) { claim.UID = "other" }, liveReads: 1},
		"old, and gone":                  {claim: old, gone: true, liveReads: 1},
		"old, and its volume is stored":  {claim: old, stored: true, liveReads: 1},
		"new, and somebody has stored a": {claim: fresh, stored: true, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.clock.SetTime(w.clock.Now().Add(2 * time.Minute))
			w.setClaim(c.claim)
			switch {
			case c.gone:
				w.live = gone
			case c.live != nil:
				claim, err := w.c.deps.Claims.PersistentVolumeClaims("ns").Get("claim")
				w.must(err)
				claim = claim.DeepCopy()
				c.live(claim)
				w.live = func() (*corev1.PersistentVolumeClaim, error) { return claim, nil }
			}
			if c.stored {
				w.store.volumes[volumeName] = &corev1.PersistentVolume{}
			}
			w.works()
			if len(w.driver.calls) != c.want || w.liveReads != c.liveReads {
				t.Errorf("%d calls and %d live reads, want %d and %d", len(w.driver.calls), w.liveReads, c.want, c.liveReads)
			}
		})
	}
}

// Whatever the clocks say, a claim that was there when this process took over, or that
// appears while its caches may be behind, is looked up.
func TestClocksThatAreWrong(t *testing.T) {
	future := func(claim *corev1.PersistentVolumeClaim) {
		claim.CreationTimestamp = metav1.NewTime(time.Unix(1_700_000_000, 0).Add(time.Hour))
	}
	for name, c := range map[string]struct {
		there bool
		after time.Duration
		want  int
	}{
		"was there":       {there: true, after: time.Hour, want: 1},
		"appears at once": {after: time.Second, want: 1},
		"appears later":   {after: controller.Lag, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.deleteClaim()
			if c.there {
				w.setClaim(future)
			}
			w.must(w.c.TakeOver())
			w.setClaim(future)
			w.clock.SetTime(w.clock.Now().Add(c.after))
			w.works()
			w.atDriver(1)
			if w.liveReads != c.want {
				t.Errorf("%d live reads, want %d", w.liveReads, c.want)
			}
			w.deleteClaim()
			w.works()
			if n := len(w.c.claims.old) + len(w.c.claims.records); n > 0 {
				t.Errorf("%d claims are remembered", n)
			}
		})
	}
}

// It is looked up once, not at every try.
func TestDoubtIsCleared(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{failsWith(codes.OutOfRange), failsWith(codes.OutOfRange)}
	for range 2 {
		if _, err := w.reconcile(); err == nil {
			t.Error("no error")
		}
	}
	if w.liveReads != 1 {
		t.Errorf("%d live reads", w.liveReads)
	}
}

func TestUnreadableClaimIsInDoubt(t *testing.T) {
	w := newWorld(t)
	w.live = func() (*corev1.PersistentVolumeClaim, error) { return nil, unreadable() }
	w.fails("the API server is away")
	w.live = nil
	w.store.getErrs = []error{unreadable()}
	w.fails("the API server is away")
	w.calls()
	w.works()
	w.atDriver(1)
}
