package journal

import (
	"context"
	"errors"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// Judge tells whether a record that was read may be acted upon. With an error it is set
// aside: it stays, does not count, and is judged again whenever the journal is read. Intent
// may be changed to what is certain of it.
type Judge func(ctx context.Context, intent *Intent, origin Origin) error

// Trust is a [Judge] for which every record may be acted upon.
func Trust(context.Context, *Intent, Origin) error { return nil }

// judge asks about a record that can be read.
func (j *Journal) judge(ctx context.Context, f found) found {
	if f.err != nil {
		return f
	}
	f.err = j.options.Judge(ctx, f.intent, f.origin)
	f.aside = f.err != nil
	return f
}

// toJudge tells which records of a batch are to be judged: all of one that nobody takes
// care of, and those that were set aside, of any other. What this process is writing, or has
// just deleted, it knows.
func (j *Journal) toJudge(batch string) (unknown bool, aside map[types.UID]bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s, known := j.stored[batch]
	if !known {
		_, gone := j.gone[batch]
		return gone || !strings.HasPrefix(batch, j.options.Prefix), nil
	}
	aside = map[types.UID]bool{}
	for uid, kept := range s.kept {
		if errors.Is(kept, ErrSetAside) {
			aside[uid] = true
		}
	}
	return false, aside
}
