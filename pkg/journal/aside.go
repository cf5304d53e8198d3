package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// Judge tells whether a record that was read may be acted upon. With an error it is set
// aside: it stays, does not count, and is judged again whenever the journal is read. Intent
// may be changed to what is certain of it.
type Judge func(ctx context.Context, intent *Intent, origin Origin) error

// Trust is a [Judge] for which every record may be acted upon.
func Trust(context.Context, *Intent, Origin) error { return nil }

// ErrSetAside is wrapped by every [SetAsideError].
var ErrSetAside = errors.New("the record is set aside")

// SetAsideError is why a record is not acted upon.
type SetAsideError struct {
	Batch string
	Claim types.UID
	Cause error
}

func (e *SetAsideError) Error() string {
	return fmt.Sprintf("key %q of ConfigMap %q: %s", e.Claim, e.Batch, e.Cause)
}

// Unwrap returns ErrSetAside and the cause.
func (e *SetAsideError) Unwrap() []error { return []error{ErrSetAside, e.Cause} }

// judge asks about a record that can be read.
func (j *Journal) judge(ctx context.Context, f found) found {
	if f.err != nil {
		return f
	}
	if why := j.options.Judge(ctx, f.intent, f.origin); why != nil {
		f.err = &SetAsideError{f.batch, f.uid, why}
	}
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
	for uid, why := range s.kept {
		if errors.Is(why, ErrSetAside) {
			aside[uid] = true
		}
	}
	return false, aside
}

// SetAside returns the records that are set aside, in order.
func (j *Journal) SetAside() []*SetAsideError {
	var all []*SetAsideError
	j.eachKept(func(_ string, _ types.UID, why error) {
		var aside *SetAsideError
		if errors.As(why, &aside) {
			all = append(all, aside)
		}
	})
	slices.SortFunc(all, func(a, b *SetAsideError) int { return strings.Compare(a.Error(), b.Error()) })
	return all
}

// eachKept calls see for each record that is kept and not acted upon.
func (j *Journal) eachKept(see func(batch string, uid types.UID, why error)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for name, s := range j.stored {
		for uid, why := range s.kept {
			see(name, uid, why)
		}
	}
}
