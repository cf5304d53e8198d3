package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
)

// Options are what a journal is made of; all are needed but Store and Key.
type Options struct {
	// Store keeps the batches. Without one, nothing is durable: a journal that
	// is off knows only what this process has begun.
	Store Store
	// Optional has the journal go on without the store while the right to write
	// it is missing (see Access).
	Optional bool
	// Access says what is missing for the store to be written. The error wraps
	// [kube.ErrNoAccess] then; any other error says that it is not known.
	Access func(context.Context) error
	// Prefix begins the names of the batches of this process, and of no other.
	Prefix string
	// Key returns the secret key by which records are signed, of [KeySize] bytes. The
	// error wraps [kube.ErrNoKey] where there can't be one: then they are not signed.
	// Nil has them not signed, either.
	Key func(context.Context) ([]byte, error)
	// Of is noted in each record.
	Of Installation
	// Judge is asked about each record that others have written.
	Judge   Judge
	Clock   clock.Clock
	Metrics *metrics.Journal
	// Report is told of a problem that somebody has to fix, and with nil when
	// it is over.
	Report func(context.Context, error)
}

// ErrOpen says that it is still open whether the volume exists.
var ErrOpen = errors.New("the creation of the volume has not been finished yet")

// Journal keeps intents. It is safe for concurrent use; for one claim, calls
// must not overlap.
type Journal struct {
	options Options
	pace    *pace
	packer  *packer

	mu      sync.Mutex
	records records
	// stored are the batches that exist, or may exist.
	stored map[string]*storedBatch
	// gone are those that have been deleted, but may have been written since: when each
	// was deleted.
	gone map[string]time.Time
	// waiting are the intents for the next batch; commitNow and dropNow wake
	// who writes.
	waiting   []*write
	commitNow chan struct{}
	dropNow   chan struct{}
	// closed is why nothing is written any more.
	closed error
	// written counts the batches of this process, generation the intents of all.
	written    int
	generation int64
	// off tells that there is no store, or for certain no right to write it.
	off bool
	// denied is the error of Access while the right is missing, and deniedSince since
	// when it is.
	denied      error
	deniedSince time.Time
	// signer signs the records; nil without a key. keyless tells that this was reported.
	signer  *Signer
	keyless bool
	// checked tells that Access has been asked.
	checked bool
	// reported is when the last problem was; zero for none.
	reported time.Time
}

// New returns a journal in which there is nothing yet: see [Journal.Recover].
func New(options Options) *Journal {
	j := &Journal{
		options:   options,
		packer:    newPacker(options.Of),
		pace:      newPace(options.Clock.Now()),
		records:   records{},
		stored:    map[string]*storedBatch{},
		gone:      map[string]time.Time{},
		commitNow: make(chan struct{}, 1),
		dropNow:   make(chan struct{}, 1),
		off:       options.Store == nil,
	}
	options.Metrics.Watch([]string{string(Creating), string(Undoing), string(Ended), string(Unreadable), string(SetAside)},
		func(state string) int { return j.Count(State(state)) }, j.Oldest)
	return j
}

// Begin records that a volume may exist from now on. The intent is durable when
// there is no error, and nothing may be called before. An intent of the same
// claim is replaced. After an error it may or may not be durable; if it is, it
// will be dropped.
func (j *Journal) Begin(ctx context.Context, intent *Intent) error {
	w := j.begin(intent)
	if w == nil {
		return nil
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return j.abandon(w, context.Cause(ctx))
	}
}

// abandon stops waiting, unless the outcome has come meanwhile.
func (j *Journal) abandon(w *write, why error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	select {
	case err := <-w.done:
		return err
	default:
		w.abandoned = true
		return fmt.Errorf("recording what is to be created for claim %s: %w", w.intent.Claim, why)
	}
}

// begin returns the write to wait for; nil if there is none.
func (j *Journal) begin(intent *Intent) *write {
	j.mu.Lock()
	defer j.mu.Unlock()
	uid := intent.Claim.UID
	old := j.records[uid]
	if old != nil && old.state != Ended && old.recorded && old.intent.Covers(intent) {
		return nil
	}
	if j.off {
		j.remember(intent, old)
		return nil
	}
	j.generation++
	w := &write{intent: intent, generation: j.generation, done: make(chan error, 1)}
	if j.closed != nil {
		w.done <- j.closed
		return w
	}
	j.waiting = append(j.waiting, w)
	signal(j.commitNow)
	return w
}

// remember notes an intent that is not recorded, or not yet.
func (j *Journal) remember(intent *Intent, old *record) *record {
	next := &record{
		intent: intent, state: Creating, since: j.options.Clock.Now(),
		batches: map[string]struct{}{}, heads: map[string]head{},
	}
	if old != nil {
		next.batches, next.heads, next.settled = old.batches, old.heads, old.settled
		if old.state != Ended {
			next.since = old.since
		}
	}
	j.records[intent.Claim.UID] = next
	return next
}

// Undoing notes that an intent's claim has gone, for the metrics.
func (j *Journal) Undoing(uid types.UID) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r := j.records[uid]; r != nil && r.state == Creating {
		r.state = Undoing
	}
}

// End notes that an intent is no longer needed; the record is dropped later.
func (j *Journal) End(uid types.UID) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.records[uid]
	if r == nil || r.state == Ended {
		return
	}
	r.state = Ended
	j.release(uid, r)
}

// release has the keys of an ended intent dropped.
func (j *Journal) release(uid types.UID, r *record) {
	if len(r.batches) == 0 {
		delete(j.records, uid)
		return
	}
	for name := range r.batches {
		j.supersede(uid, r, name)
	}
	signal(j.dropNow)
}

// supersede has the key of a batch dropped.
func (j *Journal) supersede(uid types.UID, r *record, batch string) {
	delete(r.heads, batch)
	j.stored[batch].end(uid, j.options.Clock.Now())
}

// Knows tells whether this process takes care of a claim's intent, ended or not.
func (j *Journal) Knows(uid types.UID) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.records[uid] != nil
}

// Settle returns nil when no record of the claim's intent is left, so that no
// process will ever act upon it. It has an ended one dropped at once; the error
// is [ErrOpen] when it has not ended. The wait ends, too, when a record can't be dropped,
// and when the journal is closed; and when it is turned off, without an error, as it
// can't be written any more.
func (j *Journal) Settle(ctx context.Context, uid types.UID) error {
	done, err := j.settle(uid)
	if done == nil || err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the journal: %w", context.Cause(ctx))
	}
}

func (j *Journal) settle(uid types.UID) (<-chan error, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.records[uid]
	switch {
	case r == nil:
		return nil, nil
	case r.state != Ended:
		return nil, ErrOpen
	case j.off:
		// There is nobody who could be asked.
		return nil, nil
	case j.closed != nil:
		return nil, j.closed
	}
	done := make(chan error, 1)
	r.settled = append(r.settled, done)
	for name := range r.batches {
		j.stored[name].urgent = true
	}
	signal(j.dropNow)
	return done, nil
}

// signal notes something for a reader that needs to know only that it happened.
func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
