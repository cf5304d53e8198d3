package provision

import (
	"errors"
	"fmt"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/attempt"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// The first call times out after the driver has made the volume; what the driver says
// then depends on the time, not on the request, so the volume may still be there.
func TestVolumeOutlivesRefusalsThatSayNothingOfIt(t *testing.T) {
	for _, before := range []codes.Code{codes.DeadlineExceeded, codes.Internal} {
		for _, code := range []codes.Code{codes.Unauthenticated, codes.PermissionDenied, codes.ResourceExhausted, codes.NotFound, codes.FailedPrecondition} {
			t.Run(fmt.Sprintf("%s, %s", before, code), func(t *testing.T) {
				w := newWorld(t)
				w.driver.answers = []answer{makesAndFailsWith(before), failsWith(code), failsWith(code)}
				w.fails(before.String())
				w.fails(code.String())
				w.fails(code.String())
				w.deleteClaim()
				w.works()
				w.atDriver(0)
				w.settled()
			})
		}
	}
}

// With a selected node that is full, another one is asked for, but not before the request
// has been repeated; and what may have been made there is not forgotten.
func TestFullNodeAfterAnOpenOutcome(t *testing.T) {
	w := newWorld(t)
	w.setClaim(selectNode("n1"))
	w.driver.answers = []answer{makesAndFailsWith(codes.DeadlineExceeded), failsWith(codes.ResourceExhausted), failsWith(codes.ResourceExhausted)}
	w.fails("DeadlineExceeded")
	w.fails("ResourceExhausted")
	if len(w.rescheduled) > 0 {
		t.Errorf("rescheduled %q before the request was repeated", w.rescheduled)
	}
	w.works()
	if len(w.rescheduled) != 1 {
		t.Errorf("rescheduled %q", w.rescheduled)
	}
	w.sameRequests()
	w.setClaim(selectNode("n2"))
	w.works()
	if got := w.driver.requests[3].GetAccessibilityRequirements().GetPreferred()[0].GetSegments()["zone"]; got != "n2" {
		t.Errorf("the volume is asked for in zone %q", got)
	}
	if plans := w.journal.last.Plans; len(plans) != 2 {
		t.Errorf("%d plans are recorded, want that of the first node, too", len(plans))
	}
	w.settled()
}

// nodes are as many as there are at a time, each a place of its own.
type nodes struct{ from, to int }

func (n *nodes) Facts(node string) topology.Facts {
	index := topology.NewIndex()
	for i := n.from; i < n.to; i++ {
		name := fmt.Sprintf("n%d", i)
		index.SetNode(name, map[string]string{"node": name})
		index.SetRegistration(name, []string{"node"})
	}
	return index.Facts(node)
}

// A claim that binds immediately, a driver that answers Internal, and a cluster whose
// nodes come and go: the request is repeated as long as it makes sense, and few are
// remembered, however long that takes.
func TestRequestsOfAChangingClusterAreFew(t *testing.T) {
	w := newWorld(t)
	n := &nodes{0, 10}
	w.c.deps.Places = n
	for range 200 {
		w.driver.answers = []answer{failsWith(codes.Internal)}
		w.fails("Internal")
		n.from, n.to = n.from+1, n.to+1
	}
	if got := len(w.journal.open[claimUID].Plans); got > attempt.MaxPlans {
		t.Errorf("%d plans are recorded", got)
	}
	// One for each time that no node was left of those that had been asked for.
	if w.journal.records > 21 {
		t.Errorf("%d records were written for 200 tries", w.journal.records)
	}
	w.works()
	w.settled()
}

// fromElsewhere has the claim be made from a snapshot of another namespace, which grants
// that.
func (w *world) fromElsewhere() {
	w.c.config.Options.CrossNamespaceVolumeDataSource = true
	w.setClaim(func(claim *corev1.PersistentVolumeClaim) {
		group, namespace := source.SnapshotGroup, "other"
		claim.Spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: &group, Kind: source.KindSnapshot, Name: "daily", Namespace: &namespace}
	})
	w.sources.snapshot.Namespace, w.sources.content.Spec.Snapshot.Namespace = "other", "other"
	w.sources.grants = []*source.Grant{{
		ObjectMeta: metav1.ObjectMeta{Namespace: "other"},
		Spec: source.GrantSpec{
			From: []source.GrantFrom{{Kind: source.KindClaim, Namespace: "ns"}},
			To:   []source.GrantTo{{Group: source.SnapshotGroup, Kind: source.KindSnapshot}},
		},
	}}
}

// A ReferenceGrant that is deleted while the volume is being made: the claim does not get
// the data, and is told why.
func TestRevokedGrant(t *testing.T) {
	for name, first := range map[string]answer{
		"pending":            failsWith(codes.Unavailable),
		"pending, and made":  makesAndFailsWith(codes.DeadlineExceeded),
		"internal, and made": makesAndFailsWith(codes.Internal),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.fromElsewhere()
			w.driver.answers = []answer{first}
			w.fails()
			granted := w.sources.grants
			w.sources.grants = nil
			w.fails("no ReferenceGrant of namespace", "create one there")
			w.atDriver(0)
			if len(w.store.volumes) > 0 {
				t.Error("the claim has got the other namespace's data")
			}
			w.idle()
			w.sources.grants = granted
			w.works()
			w.atDriver(1)
			w.settled()
		})
	}
}

// The grant goes during the call that makes the volume.
func TestGrantRevokedDuringTheCall(t *testing.T) {
	w := newWorld(t)
	w.fromElsewhere()
	w.driver.answers = []answer{{change: func(*csipb.CreateVolumeResponse) { w.sources.grants = nil }}}
	w.fails("no ReferenceGrant")
	w.atDriver(0)
	if len(w.store.volumes) > 0 {
		t.Error("the claim has got the other namespace's data")
	}
}

// Grants that can't be read are no reason to hand over the data, nor to delete it.
func TestUnreadableGrants(t *testing.T) {
	w := newWorld(t)
	w.fromElsewhere()
	w.driver.answers = []answer{makesAndFailsWith(codes.DeadlineExceeded)}
	w.fails()
	w.sources.grantsErr = errors.New("no leader")
	w.fails("no leader")
	w.calls("create gold")
	w.sources.grantsErr = nil
	w.works()
	w.settled()
}

// A PersistentVolume that goes before its claim is bound wakes the claim, which gets
// another one.
func TestVolumeThatGoesBeforeTheClaimIsBound(t *testing.T) {
	w := newWorld(t)
	w.waitsFor(w.works(), VolumeGone(volumeName))
	stored := w.store.volumes[volumeName]
	w.must(w.volumes.Add(stored))
	w.waitsFor(w.works(), VolumeGone(volumeName))
	delete(w.store.volumes, volumeName)
	w.must(w.volumes.Delete(stored))
	w.works()
	if w.store.volumes[volumeName] == nil {
		t.Error("the claim has no PersistentVolume")
	}
	w.atDriver(1)
	w.settled()
}

// A volume of another claim has the name: when its PersistentVolume goes, it is this
// claim's turn.
func TestTakenNameIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.must(w.volumes.Add(&corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: volumeName},
		Spec:       corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{Name: "other", UID: "other"}},
	}))
	w.waitsFor(w.fails("belongs to claim"), dependencies()...)
}

// A record without its topology that says that the volume was to be removed.
func TestRemovalOfAnInexactRecordIsGoneOnWith(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{makesAndFailsWith(codes.Internal)}
	w.fails()
	recorded := w.journal.open[claimUID].Plans[0]
	w.driver.calls = nil
	w.crash()
	w.c = New(w.c.deps, w.c.config)
	w.c.Resume([]*journal.Intent{{Claim: Key{Namespace: "ns", Name: "claim", UID: claimUID}, Plans: []*plan.Plan{recorded}, Useless: "h-" + volumeName, Partial: true}})
	w.works()
	w.calls(removing, "create gold")
	w.settled()
}

// Two records of one claim, by different processes: either may have made the volume.
func TestAllRecordsOfAClaimCount(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{makesAndFailsWith(codes.DeadlineExceeded)}
	w.fails()
	made := w.journal.open[claimUID]
	other := newWorld(t)
	other.fixClass("silver")
	other.driver.answers = []answer{failsWith(codes.DeadlineExceeded)}
	other.fails()
	w.c = New(w.c.deps, w.c.config)
	w.c.Resume([]*journal.Intent{other.journal.open[claimUID], made})
	w.deleteClaim()
	w.works()
	w.calls("create gold", "create silver", "create gold", removing)
	w.atDriver(0)
	w.settled()
}

// As long as the journal may say that a volume is to be removed, no other is made.
func TestRemovalIsForgottenBeforeTheNextVolume(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{{change: func(r *csipb.CreateVolumeResponse) { r.Volume.CapacityBytes = 1 }}}
	w.journal.settleErrs = []error{errors.New("no leader")}
	w.fails("bytes", "no leader")
	w.calls("create gold", removing)
	w.works()
	w.calls("create gold", removing, "create gold")
	if n := len(w.journal.settled); n != 2 {
		t.Errorf("the journal was asked %d times, want 2", n)
	}
	w.settled()
}

// What changes while a call waits for its turn counts.
func TestClaimThatChangesWhileItsCallWaits(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		calls  []string
		stored int
	}{
		"nothing":   {func(*world) {}, []string{"create gold"}, 1},
		"deleted":   {func(w *world) { w.deleteClaim() }, nil, 0},
		"new class": {func(w *world) { w.fixClass("silver") }, []string{"create silver"}, 1},
		"other node": {func(w *world) {
			w.setClaim(func(claim *corev1.PersistentVolumeClaim) { claim.Annotations[names.SelectedNode] = "n2" })
		}, []string{"create gold"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.driver.atSlot = func() { w.driver.atSlot = nil; c.change(w) }
			w.works()
			w.calls(c.calls...)
			if len(w.store.volumes) != c.stored {
				t.Errorf("%d volumes are stored, want %d", len(w.store.volumes), c.stored)
			}
			w.idle()
		})
	}
}
