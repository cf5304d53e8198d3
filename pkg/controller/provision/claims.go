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
func (r *record) isBlank() bool { return r.state == (attempt.State{}) && !r.announced && r.turn == nil }

// claims are the records, by the UID of the claim. A claim that is bound or gone has
// one only while its attempt is open, and others only where there is something to
// remember.
type claims struct {
	mu      sync.Mutex
	records map[types.UID]*record
	// found are the intents of other processes that have not been taken up yet.
	found map[types.UID][]*journal.Intent
	// shown are the claims whose PersistentVolume the cache has shown before they were bound.
	shown map[types.UID]struct{}
}

func newClaims() *claims {
	return &claims{records: map[types.UID]*record{}, found: map[types.UID][]*journal.Intent{}, shown: map[types.UID]struct{}{}}
}

// enter returns the record of a claim, after it has taken up the intents that were found,
// and whether its PersistentVolume was shown.
func (c *claims) enter(key Key) *record {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.records[key.UID]
	if r == nil {
		r = &record{claim: &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
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
	if _, ok := c.shown[key.UID]; ok && r.state.Phase == attempt.Idle {
		r.state.Phase = attempt.Settled
	}
	return r
}

// leave forgets a record that is not needed any more, and that the claim's PersistentVolume
// was shown, if the claim is bound or gone.
func (c *claims) leave(uid types.UID, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.records, uid)
	if over {
		delete(c.shown, uid)
	}
}

func (c *claims) noteShown(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown[uid] = struct{}{}
}

// find notes an intent that was found in the journal.
func (c *claims) find(intent *journal.Intent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found[intent.Claim.UID] = append(c.found[intent.Claim.UID], intent)
}
