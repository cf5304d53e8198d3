package provision

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

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
	// useless is the handle of a volume to delete.
	useless string
	// undone tells that the claim no longer wants the volume.
	undone bool
	// blind tells that the driver was last asked without the Secret, which has
	// gone: that it refuses then says nothing about the volume.
	blind bool
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
}

func newAttempts() *attempts {
	return &attempts{of: map[types.UID]*attempt{}, announced: map[types.UID]struct{}{}}
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
}
