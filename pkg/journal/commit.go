package journal

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// requestTimeout bounds one request to the store.
const requestTimeout = 10 * time.Second

// Run writes until ctx ends, when everybody who waits gets an error. It must run
// for Begin to return.
func (j *Journal) Run(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		j.runDrops(ctx)
	}()
	for j.nextCommit(ctx) {
		j.commit(ctx)
	}
	<-done
	j.close(fmt.Errorf("the journal is closed: %w", context.Cause(ctx)))
}

func (j *Journal) close(why error) {
	j.mu.Lock()
	j.closed = why
	j.answerAll(why)
	j.mu.Unlock()
	j.fail(j.take(), why)
}

// nextCommit waits until there is something to commit, and its time has come.
func (j *Journal) nextCommit(ctx context.Context) bool {
	for j.count() == 0 {
		select {
		case <-ctx.Done():
			return false
		case <-j.commitNow:
		}
	}
	timer := j.options.Clock.NewTimer(j.pace.delay(j.options.Clock.Now()))
	defer timer.Stop()
	defer func() { j.pace.spend(j.options.Clock.Now()) }()
	for j.count() < manyIntents {
		select {
		case <-ctx.Done():
			return false
		case <-j.commitNow:
		case <-timer.C():
			return true
		}
	}
	return true
}

// count returns the number of intents that wait.
func (j *Journal) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.waiting)
}

func (j *Journal) take() []*write {
	j.mu.Lock()
	defer j.mu.Unlock()
	taken := j.waiting
	j.waiting = nil
	for _, w := range taken {
		w.replaces = j.records[w.intent.Claim.UID].replaces(w.intent)
	}
	return taken
}

// commit writes all intents that wait, mostly as one batch.
func (j *Journal) commit(ctx context.Context) {
	rest := j.take()
	for len(rest) > 0 {
		var next *batch
		name := j.nextName()
		j.packer.begin(name, j.options.Clock.Now(), j.currentSigner())
		if next, rest = fill(j.packer, rest); next != nil {
			j.write(ctx, name, next)
		}
	}
}

func (j *Journal) write(ctx context.Context, name string, s *batch) {
	err := j.create(ctx, name, s)
	j.options.Metrics.Committed(len(s.writes), err)
	if err == nil {
		j.noteStored(name, s)
		j.setDenied(ctx, nil)
		j.report(ctx, nil)
		return
	}
	if !refused(err) {
		j.noteLost(name, s)
	}
	off, err := j.explain(ctx, err)
	if off {
		j.rememberAll(s.writes)
		return
	}
	err = fmt.Errorf("recording what is to be created in the journal: %w", err)
	j.report(ctx, err)
	j.fail(s.writes, err)
}

func (j *Journal) nextName() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.written++
	return fmt.Sprintf("%s%d", j.options.Prefix, j.written)
}

func (j *Journal) create(ctx context.Context, name string, s *batch) error {
	content, err := s.finish()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return j.options.Store.Create(ctx, name, content)
}

// refused tells whether it is certain that nothing was written.
func refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsUnauthorized(err) || apierrors.IsNotFound(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsRequestEntityTooLargeError(err)
}

func (j *Journal) fail(writes []*write, err error) {
	for _, w := range writes {
		w.done <- err
	}
}

// rememberAll takes intents that can't be recorded.
func (j *Journal) rememberAll(writes []*write) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, w := range writes {
		if !w.abandoned {
			j.remember(w.intent, j.records[w.intent.Claim.UID])
		}
		w.done <- nil
	}
}

// noteStored takes the intents of a batch that was written.
func (j *Journal) noteStored(name string, s *batch) {
	j.mu.Lock()
	defer j.mu.Unlock()
	stored := newStoredBatch()
	j.stored[name] = stored
	for _, w := range s.writes {
		uid := w.intent.Claim.UID
		old := j.records[uid]
		for _, replaced := range old.replaces(w.intent) {
			j.supersede(uid, old, replaced)
		}
		next := j.remember(w.intent, old)
		next.recorded, next.batches[name], next.heads[name] = true, struct{}{}, head{intent: w.intent}
		stored.keys[uid] = struct{}{}
		if w.abandoned {
			// Nobody has seen that it is durable, so nothing was begun with it;
			// but what it replaces may have been.
			next.state = Ended
			if old != nil {
				next.state = old.state
			}
		}
		if next.state == Ended {
			j.release(uid, next)
		} else {
			next.answer(ErrOpen)
		}
		w.done <- nil
	}
	signal(j.dropNow)
}

// noteLost has a batch deleted that may have been written although there was an
// error. Until it is gone, it counts as a record of its claims that has ended.
func (j *Journal) noteLost(name string, s *batch) {
	j.mu.Lock()
	defer j.mu.Unlock()
	stored := newStoredBatch()
	stored.lost = true
	j.stored[name] = stored
	for _, w := range s.writes {
		uid := w.intent.Claim.UID
		r := j.records[uid]
		if r == nil {
			r = j.remember(w.intent, nil)
			r.state = Ended
		}
		r.batches[name] = struct{}{}
		stored.keys[uid] = struct{}{}
		stored.end(uid, j.options.Clock.Now())
	}
	signal(j.dropNow)
}
