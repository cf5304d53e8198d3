package journal

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Recover reads the batches that other processes have left, and returns their
// intents; each is returned once. It is to be called before anything is begun,
// and from time to time: what a former leader was writing when it lost its lease
// may come late. So an intent may be of a claim that has one already, open or ended: it
// holds what is new, and its plans are to be added to those that may have made the volume.
// Records that do not count are judged again each time.
//
// Without the right to use the store the error wraps [kube.ErrNoAccess]; an optional
// journal goes on without it, but not before it has been missing for some seconds, in
// which there is another error.
func (j *Journal) Recover(ctx context.Context) ([]*Intent, error) {
	if j.options.Store == nil {
		return nil, nil
	}
	on, err := j.access(ctx)
	if err != nil || !on {
		return nil, err
	}
	signer, err := j.findKey(ctx)
	if err != nil {
		return nil, err
	}
	before := j.names()
	l, err := j.list(ctx, Reader{signer, j.options.Judge})
	if err != nil {
		return nil, err
	}
	j.compare(before, l.seen)
	return j.adopt(ctx, l), nil
}

// adopt takes care of batches, and returns the intents in them that say something new.
// A batch that comes to light after its deletion is deleted again.
func (j *Journal) adopt(ctx context.Context, l *listing) []*Intent {
	j.mu.Lock()
	kept := j.prepare(l)
	var news []*KeptError
	claims := map[types.UID][]found{}
	for _, f := range l.found {
		s, ok := j.stored[f.batch]
		switch {
		case !ok || s.lost:
		case errors.Is(f.err, ErrNeedless):
			s.keys[f.uid] = struct{}{}
			s.end(f.uid, j.options.Clock.Now())
		case f.err != nil:
			now, before := f.kept(), kept[f.batch][f.uid]
			s.kept[f.uid] = now
			if before == nil || before.Error() != now.Error() {
				news = append(news, now)
			}
		default:
			s.keys[f.uid] = struct{}{}
			j.generation = max(j.generation, f.generation)
			claims[f.uid] = append(claims[f.uid], f)
		}
	}
	var intents []*Intent
	for _, uid := range slices.Sorted(maps.Keys(claims)) {
		if intent := j.adoptClaim(uid, claims[uid]); intent != nil {
			intents = append(intents, intent)
		}
	}
	j.mu.Unlock()
	signal(j.dropNow)
	j.reportKept(ctx, news)
	return intents
}

// prepare makes room for what a listing has found, and returns what was kept before of the
// batches whose kept records were judged again.
func (j *Journal) prepare(l *listing) map[string]map[types.UID]*KeptError {
	for _, name := range l.unknown {
		s := newStoredBatch()
		_, s.lost = j.gone[name]
		j.stored[name] = s
	}
	before := map[string]map[types.UID]*KeptError{}
	for _, name := range l.again {
		if s, ok := j.stored[name]; ok {
			before[name] = s.kept
			s.kept = map[types.UID]*KeptError{}
		}
	}
	return before
}

// adoptClaim takes care of the records of one claim that were found, and returns the
// intent that they make; nil if it says nothing new. One that does is handed over whatever
// has become of the claim's intent here, since the process that has written it may have
// called the driver: an intent that has ended is open again.
func (j *Journal) adoptClaim(uid types.UID, all []found) *Intent {
	heads, replaced, needless := sortOut(all)
	merged := merge(intentsOf(heads), intentsOf(replaced))
	r := j.records[uid]
	known := r != nil
	isNews := !known || !r.knows(merged)
	if !known || isNews && r.state == Ended {
		r = j.remember(merged, r)
		// Before anything is done about what nobody has signed, it is recorded anew: the
		// next process may find nothing that confirms it.
		r.recorded = !slices.ContainsFunc(all, func(f found) bool { return f.unsigned })
		r.answer(ErrOpen)
	}
	for _, f := range all {
		r.batches[f.batch] = struct{}{}
	}
	if isNews || !r.recorded && r.state != Ended {
		for _, f := range slices.Concat(heads, replaced) {
			r.heads[f.batch] = head{intent: f.intent, late: known}
		}
	} else {
		needless = all
	}
	for _, f := range needless {
		j.supersede(uid, r, f.batch)
		s := j.stored[f.batch]
		s.urgent = s.urgent || len(r.settled) > 0
	}
	if !isNews {
		return nil
	}
	return merged
}

func intentsOf(all []found) []*Intent {
	intents := make([]*Intent, 0, len(all))
	for _, f := range all {
		intents = append(intents, f.intent)
	}
	return intents
}

// sortOut tells the records of one claim that no newer one replaces from the others, the
// newest first. There is mostly one: whoever writes a record knows of those before. But
// what a former leader writes late knows nothing of its successor's, nor that of it, so
// that no generation tells which of them counts: all of them do.
//
// The requests of a record that was replaced count until there is a new record, as the one
// that replaces it may have been written late, when another process had gone on with this
// one. It is needless if another one says the same.
func sortOut(all []found) (heads, replaced, needless []found) {
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(b.generation, a.generation), cmp.Compare(a.batch, b.batch))
	})
	old := map[string]bool{}
	for _, f := range all {
		switch {
		case !old[f.batch]:
			heads = append(heads, f)
		case slices.ContainsFunc(heads, func(head found) bool { return head.intent.holds(f.intent) }):
			needless = append(needless, f)
		default:
			f.intent.Useless = ""
			replaced = append(replaced, f)
		}
		for _, name := range f.replaces {
			old[name] = true
		}
	}
	return heads, replaced, needless
}
