package provision

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// attempt is a volume that exists, or may exist, at the driver, and has no
// PersistentVolume yet. It is used only by who holds the lock of the claim's
// volume.
type attempt struct {
	claim *corev1.PersistentVolumeClaim
	plan  *provision.Plan
	// ambiguous tells that the last call is over, but not whether there is a
	// volume: a request that has changed since may take its place.
	ambiguous bool
	// previous are the different plans that this one has replaced: each of them
	// may have made the volume, if there is one.
	previous []*provision.Plan
	// made is the PersistentVolume to store; it may be stored already, as it is
	// sent as soon as it is made.
	made *corev1.PersistentVolume
	// started is when the call began that made it.
	started time.Time
	// sent tells that the PersistentVolume may have been stored: a write of it had
	// no clear answer.
	sent bool
	// useless is the handle of a volume to delete.
	useless string
	// undone tells that the claim no longer wants the volume.
	undone bool
	// blind tells that the driver was last asked without the Secret, which has
	// gone: that it refuses then says nothing about the volume.
	blind bool
	// inherited tells that another process has begun it, which may have got
	// further than is known here; unchecked that this has not been looked at yet.
	inherited, unchecked bool
	// partial tells that the requests are not quite those that the driver got.
	partial bool
}

// intent is what the journal keeps of the attempt.
func (a *attempt) intent() *journal.Intent {
	return &journal.Intent{
		Claim:   KeyOf(a.claim),
		Plans:   append([]*provision.Plan{a.plan}, a.previous...),
		Useless: a.useless,
		Partial: a.partial,
	}
}

// inherit returns the attempt of an intent that another process has recorded.
func inherit(intent *journal.Intent) *attempt {
	return &attempt{
		claim: &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
			Namespace: intent.Claim.Namespace, Name: intent.Claim.Name, UID: intent.Claim.UID,
		}},
		plan: intent.Plans[0], previous: intent.Plans[1:],
		useless:   intent.Useless,
		inherited: true, unchecked: true,
		// A request that can't be repeated exactly is better planned anew.
		partial: intent.Partial, ambiguous: intent.Partial,
	}
}

// fallBack takes the attempt back to a plan that was replaced; false when there
// is none.
func (a *attempt) fallBack() bool {
	if len(a.previous) == 0 {
		return false
	}
	a.plan, a.previous = a.previous[0], a.previous[1:]
	return true
}

// attempts are those under way, by the UID of the claim.
type attempts struct {
	mu sync.Mutex
	of map[types.UID]*attempt
	// announced are the claims for which an event has told that their volume is
	// being made.
	announced map[types.UID]struct{}
	// stored are the claims whose PersistentVolume was stored, but that have not
	// been seen bound.
	stored map[types.UID]struct{}
	// sure are the claims of which the API server has said that they have none.
	sure map[types.UID]struct{}
}

func newAttempts() *attempts {
	return &attempts{of: map[types.UID]*attempt{}, announced: map[types.UID]struct{}{}, stored: map[types.UID]struct{}{}, sure: map[types.UID]struct{}{}}
}

func (a *attempts) get(uid types.UID) *attempt {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.of[uid]
}

func (a *attempts) begin(uid types.UID, next *attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of[uid] = next
}

// inherit takes an attempt unless there is one.
func (a *attempts) inherit(next *attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, exists := a.of[next.claim.UID]; !exists {
		a.of[next.claim.UID] = next
	}
}

func (a *attempts) noteStored(uid types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.announced, uid)
	delete(a.sure, uid)
	a.stored[uid] = struct{}{}
}

func (a *attempts) isStored(uid types.UID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.stored[uid]
	return ok
}

func (a *attempts) noteSure(uid types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.stored, uid)
	a.sure[uid] = struct{}{}
}

func (a *attempts) isSure(uid types.UID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.sure[uid]
	return ok
}

func (a *attempts) end(uid types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.of, uid)
}

// announce returns true the first time that it is called for a claim.
func (a *attempts) announce(uid types.UID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, known := a.announced[uid]
	a.announced[uid] = struct{}{}
	return !known
}

func (a *attempts) forget(uid types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.announced, uid)
	delete(a.stored, uid)
	delete(a.sure, uid)
}
