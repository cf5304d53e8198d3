package journal

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// linger is the time that an ended intent waits for others of its batch to
	// end, so that they are dropped together.
	linger = 30 * time.Second
	// dropRetry is the time until a batch is tried again that could not be
	// written.
	dropRetry = 2 * time.Second
)

// storedBatch is a batch that exists, or may exist.
type storedBatch struct {
	// keys are those that count, ended those of them to be dropped, since
	// endedSince at the latest.
	keys, ended map[types.UID]struct{}
	endedSince  time.Time
	// kept are the other ones, which can't be read or are set aside, and why.
	kept map[types.UID]*KeptError
	// urgent tells that somebody waits for the drop.
	urgent bool
	// lost tells that it is not known whether the batch exists; it is to go.
	lost bool
	// notBefore is when to try again.
	notBefore time.Time
}

func newStoredBatch() *storedBatch {
	return &storedBatch{keys: map[types.UID]struct{}{}, ended: map[types.UID]struct{}{}, kept: map[types.UID]*KeptError{}}
}

func (s *storedBatch) end(uid types.UID, now time.Time) {
	if len(s.ended) == 0 {
		s.endedSince = now
	}
	s.ended[uid] = struct{}{}
}

// due returns when the batch is to be written; false for never, as things are.
func (s *storedBatch) due(now time.Time) (time.Time, bool) {
	var at time.Time
	switch {
	case s.lost, s.isOver(), s.urgent && len(s.ended) > 0:
		at = now
	case len(s.ended) > 0:
		at = s.endedSince.Add(linger)
	default:
		return time.Time{}, false
	}
	if at.Before(s.notBefore) {
		at = s.notBefore
	}
	return at, true
}

// isOver tells whether nothing in the batch is needed.
func (s *storedBatch) isOver() bool { return len(s.ended) == len(s.keys) && len(s.kept) == 0 }

// drop is one write that ends intents: of some keys, or of the whole batch.
type drop struct {
	batch string
	keys  []types.UID
	whole bool
}

// runDrops drops what has ended until ctx ends.
func (j *Journal) runDrops(ctx context.Context) {
	timer := j.options.Clock.NewTimer(linger)
	defer timer.Stop()
	for {
		drops, next := j.nextDrops()
		for _, d := range drops {
			j.drop(ctx, d)
		}
		if len(drops) > 0 {
			continue
		}
		timer.Reset(next)
		select {
		case <-ctx.Done():
			return
		case <-j.dropNow:
		case <-timer.C():
		}
	}
}

// nextDrops returns the writes that are due, or how long there are none.
func (j *Journal) nextDrops() ([]drop, time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.off {
		return nil, linger
	}
	var drops []drop
	now, next := j.options.Clock.Now(), linger
	for name, s := range j.stored {
		at, ok := s.due(now)
		switch {
		case ok && !at.After(now):
			drops = append(drops, s.drop(name))
		case ok:
			next = min(next, at.Sub(now))
		}
	}
	return drops, next
}

func (s *storedBatch) drop(name string) drop {
	d := drop{batch: name, whole: s.lost || s.isOver()}
	for uid := range s.ended {
		d.keys = append(d.keys, uid)
	}
	slices.Sort(d.keys)
	return d
}

func (j *Journal) drop(ctx context.Context, d drop) {
	writing, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var err error
	if d.whole {
		err = j.options.Store.Delete(writing, d.batch)
	} else {
		keys := make([]string, 0, len(d.keys))
		for _, uid := range d.keys {
			keys = append(keys, string(uid))
		}
		err = j.options.Store.Drop(writing, d.batch, keys)
	}
	if err == nil {
		j.noteDropped(d)
		return
	}
	off, err := j.explain(ctx, err)
	err = fmt.Errorf("dropping what has ended from the journal: %w", err)
	j.noteKept(d, err)
	if !off {
		j.report(ctx, err)
	}
}

// noteDropped forgets what has been dropped.
func (j *Journal) noteDropped(d drop) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s, ok := j.stored[d.batch]
	if d.whole && (ok && s.lost || !strings.HasPrefix(d.batch, j.options.Prefix)) {
		j.gone[d.batch] = j.options.Clock.Now()
	}
	if !ok {
		return // It has vanished meanwhile.
	}
	if d.whole {
		delete(j.stored, d.batch)
	}
	for _, uid := range d.keys {
		delete(s.keys, uid)
		delete(s.ended, uid)
		j.forget(uid, d.batch)
	}
	// Whatever has ended meanwhile has its own time.
	s.urgent, s.endedSince = j.isAwaited(s), j.options.Clock.Now()
}

// forget notes that a batch holds no record of a claim any more.
func (j *Journal) forget(uid types.UID, batch string) {
	r := j.records[uid]
	if r == nil {
		return
	}
	delete(r.batches, batch)
	if _, ok := r.heads[batch]; ok {
		delete(r.heads, batch)
		r.recorded = false
	}
	if r.state == Ended && len(r.batches) == 0 {
		r.answer(nil)
		delete(j.records, uid)
	}
}

// isAwaited tells whether somebody waits for a key of the batch to be dropped.
func (j *Journal) isAwaited(s *storedBatch) bool {
	for uid := range s.ended {
		if r := j.records[uid]; r != nil && len(r.settled) > 0 {
			return true
		}
	}
	return false
}

// noteKept has the write tried again, and tells those who wait for it.
func (j *Journal) noteKept(d drop, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s, ok := j.stored[d.batch]
	if !ok {
		return // It has vanished meanwhile.
	}
	for _, uid := range d.keys {
		if r := j.records[uid]; r != nil {
			r.answer(err)
		}
	}
	s.notBefore, s.urgent = j.options.Clock.Now().Add(dropRetry), j.isAwaited(s)
}

// Flush drops what has ended, for the next process not to have to look at it.
func (j *Journal) Flush(ctx context.Context) error {
	for _, uid := range j.ended() {
		if err := j.Settle(ctx, uid); err != nil {
			return err
		}
	}
	return nil
}

func (j *Journal) ended() []types.UID {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []types.UID
	for uid, r := range j.records {
		if r.state == Ended {
			all = append(all, uid)
		}
	}
	return all
}
