package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// listing is a look at all batches, one at a time.
type listing struct {
	journal *Journal
	reader  Reader
	// seen are the names of the batches.
	seen map[string]struct{}
	// unknown are those that nobody takes care of, and again those whose kept records
	// were judged again.
	unknown, again []string
	found          []found
	// kept is the number of those of found that are not acted upon.
	kept int
	// unsigned is the number of records of each claim that nobody has signed.
	unsigned map[types.UID]int
	// err is why not all records could be judged.
	err error
}

// list looks at all batches.
func (j *Journal) list(ctx context.Context, reader Reader) (*listing, error) {
	l := &listing{journal: j, reader: reader, seen: map[string]struct{}{}, unsigned: map[types.UID]int{}}
	if err := j.options.Store.Each(ctx, func(batch kube.Batch) { l.see(ctx, batch) }); err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	if l.err != nil {
		return nil, l.err
	}
	return l, nil
}

func (l *listing) see(ctx context.Context, batch kube.Batch) {
	l.seen[batch.Name] = struct{}{}
	keys := keysOf(batch)
	switch l.journal.careOf(batch.Name) {
	case ours:
		return
	case nobodys:
		l.unknown = append(l.unknown, batch.Name)
	case keeping:
		l.again = append(l.again, batch.Name)
		keys = l.journal.toJudgeAgain(batch.Name, keys)
	}
	all := read(l.reader.Signer, batch, keys)
	for n := range all {
		l.judge(ctx, &all[n])
	}
	l.take(batch.Name, all)
}

// judge asks about a record. To ask about one that nobody has signed takes requests to the
// API server, so that there may not be many about one claim.
func (l *listing) judge(ctx context.Context, f *found) {
	if f.err == nil && f.unsigned {
		l.unsigned[f.uid]++
		f.err = within("the number of records of the claim that are not signed", int64(l.unsigned[f.uid]), maxUnsignedOfClaim)
		f.aside = f.err != nil
	}
	l.reader.judge(ctx, f)
}

// take adds what was found, but of records that are not acted upon not more than anybody
// would read.
func (l *listing) take(batch string, all []found) {
	rest := found{batch: batch, uid: allOthers, aside: true}
	for _, f := range all {
		switch {
		case errors.Is(f.err, ErrUnknown):
			l.err = f.kept()
		case f.err == nil, errors.Is(f.err, ErrNeedless):
		case l.kept < maxKept:
			l.kept++
		default:
			rest.count += f.count
			continue
		}
		l.found = append(l.found, f)
	}
	if rest.count > 0 {
		rest.err = fmt.Errorf("%d records that are not told one by one, as there are more than %d", rest.count, maxKept)
		l.found = append(l.found, rest)
	}
}

// care is who takes care of a batch.
type care uint8

const (
	// nobodys: all of its records are to be judged.
	nobodys care = iota
	// ours: this process knows what it holds, is just writing it, or has written it and
	// not got the answer yet.
	ours
	// keeping: so it does, but for the records that are kept, which are judged again.
	keeping
)

func (j *Journal) careOf(batch string) care {
	j.mu.Lock()
	defer j.mu.Unlock()
	s, known := j.stored[batch]
	_, gone := j.gone[batch]
	switch {
	case known && len(s.kept) > 0:
		return keeping
	case known, !gone && strings.HasPrefix(batch, j.options.Prefix):
		return ours
	}
	return nobodys
}

// toJudgeAgain returns those of the keys of a batch whose records are kept.
func (j *Journal) toJudgeAgain(batch string, keys []types.UID) []types.UID {
	j.mu.Lock()
	defer j.mu.Unlock()
	s, known := j.stored[batch]
	if !known {
		return nil // It has been deleted meanwhile.
	}
	_, others := s.kept[allOthers]
	return slices.DeleteFunc(keys, func(uid types.UID) bool {
		_, counts := s.keys[uid]
		_, kept := s.kept[uid]
		return counts || !kept && !others
	})
}
