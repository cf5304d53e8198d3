package journal

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// record is where an intent is, and what has become of it.
type record struct {
	intent *Intent
	state  State
	// recorded tells that the heads hold the intent. It is not while the journal is off.
	recorded bool
	// batches are those that hold a key of the claim, with this or another intent.
	batches map[string]struct{}
	// heads are those of the batches whose key must stay until the intent has ended.
	// All others have been replaced.
	heads map[string]head
	// since is when the intent was first seen by this process.
	since time.Time
	// settled get the outcome when the last record is dropped, or can't be.
	settled []chan<- error
}

// head is what a batch holds of a claim.
type head struct {
	intent *Intent
	// late tells that it came to light when the intent was known already: who has begun
	// may not have taken it up yet.
	late bool
}

type records map[types.UID]*record

// replaces returns the batches whose records of the claim are not needed when the
// intent is recorded: all but those late ones of which it does not say everything.
func (r *record) replaces(intent *Intent) []string {
	if r == nil {
		return nil
	}
	names := slices.Sorted(maps.Keys(r.batches))
	return slices.DeleteFunc(names, func(name string) bool {
		h, ok := r.heads[name]
		return ok && h.late && !intent.holds(h.intent)
	})
}

// knows tells whether an intent that was found says nothing that is not known.
func (r *record) knows(found *Intent) bool {
	all := []*Intent{r.intent}
	for _, h := range r.heads {
		all = append(all, h.intent)
	}
	return union(all).tells(found)
}

// answer tells those who wait for the end of the record.
func (r *record) answer(err error) {
	for _, done := range r.settled {
		done <- err
	}
	r.settled = nil
}

// answerAll tells all who wait for the end of any record. It is called with the
// journal's lock.
func (j *Journal) answerAll(err error) {
	for _, r := range j.records {
		r.answer(err)
	}
}
