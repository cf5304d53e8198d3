package provision

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/attempt"
)

// record is what is known of one claim beyond what the caches show. It is used only by
// who holds the lock of the claim's volume.
type record struct {
	state attempt.State
	// initial is the state in which it began.
	initial attempt.State
	// claim is as it was last seen; only its names, if it never was.
	claim *corev1.PersistentVolumeClaim
	// volume is the PersistentVolume to store, and started is when the call began that
	// made the volume; of phase Made.
	volume  *corev1.PersistentVolume
	started time.Time
	// announced tells that an event has told that the volume is being created.
	announced bool
	// turn is this node's in the contest for the claim; nil without one.
	turn *turn
}

// isBlank tells whether the record says no more than a new one would.
func (r *record) isBlank() bool { return r.state == r.initial && !r.announced && r.turn == nil }

// claims are the records, by the UID of the claim. A claim that is bound or gone has
// one only while its attempt is open, and others only where there is something to
// remember.
type claims struct {
	mu      sync.Mutex
	records map[types.UID]*record
	// found are the intents of other processes that have not been taken up yet.
	found map[types.UID][]*journal.Intent
	// old are the claims that were there when this process took over, and have not been
	// bound since.
	old map[types.UID]struct{}
}

func newClaims() *claims {
	return &claims{records: map[types.UID]*record{}, found: map[types.UID][]*journal.Intent{}, old: map[types.UID]struct{}{}}
}

// enter returns the record of a claim, which begins in that state if it is new, after
// it has taken up the intents that were found.
func (c *claims) enter(key Key, initial attempt.State) *record {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.records[key.UID]
	if r == nil {
		r = &record{state: initial, initial: initial, claim: &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name, UID: key.UID,
		}}}
		c.records[key.UID] = r
	}
	for _, intent := range c.found[key.UID] {
		r.state = attempt.Observe(r.state, attempt.Event{
			What: attempt.Recalled, Plans: attempt.NewPlans(!intent.Exact(), intent.Plans...), Handle: intent.Useless,
		})
	}
	delete(c.found, key.UID)
	return r
}

// leave forgets a record that is not needed any more, and that the claim was there when
// this process took over, if it is over.
func (c *claims) leave(uid types.UID, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.records, uid)
	if over {
		delete(c.old, uid)
	}
}

func (c *claims) noteOld(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.old[uid] = struct{}{}
}

func (c *claims) isOld(uid types.UID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.old[uid]
	return ok
}

// find notes an intent that was found in the journal.
func (c *claims) find(intent *journal.Intent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found[intent.Claim.UID] = append(c.found[intent.Claim.UID], intent)
}
