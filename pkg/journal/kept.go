package journal

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// Why a record is kept, and not acted upon.
var (
	// ErrUnreadable: mostly, a newer version of this program has written it. Nothing is
	// known of it but the UID of its claim, which is its key.
	ErrUnreadable = errors.New("the record can't be read")
	// ErrSetAside: a [Judge] has said so.
	ErrSetAside = errors.New("the record is set aside")
)

// KeptError is a record that is kept, and not acted upon.
type KeptError struct {
	Batch string
	// Claim is empty for records of the batch that are not told one by one.
	Claim types.UID
	// Count is the number of records.
	Count int
	// Kind is ErrUnreadable or ErrSetAside.
	Kind  error
	Cause error
}

func (e *KeptError) Error() string {
	if e.Claim == allOthers {
		return fmt.Sprintf("ConfigMap %q: %s", e.Batch, e.Cause)
	}
	return fmt.Sprintf("key %.253q of ConfigMap %q: %s", e.Claim, e.Batch, e.Cause)
}

// Unwrap returns the kind and the cause.
func (e *KeptError) Unwrap() []error { return []error{e.Kind, e.Cause} }

// allOthers stands for those records of a batch that are not told one by one.
const allOthers types.UID = ""

// maxKept is the number of kept records that are told one by one: whoever may write
// ConfigMaps can write any number.
const maxKept = 1000

// Kept returns the records of a kind that this journal keeps, in order.
func (j *Journal) Kept(kind error) []*KeptError {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []*KeptError
	for _, s := range j.stored {
		for _, kept := range s.kept {
			if errors.Is(kept, kind) {
				all = append(all, kept)
			}
		}
	}
	slices.SortFunc(all, func(a, b *KeptError) int {
		return strings.Compare(a.Batch+"/"+string(a.Claim), b.Batch+"/"+string(b.Claim))
	})
	return all
}

// countKept returns the number of records of a kind that are kept.
func (j *Journal) countKept(kind error) int {
	n := 0
	for _, kept := range j.Kept(kind) {
		n += kept.Count
	}
	return n
}

// kept is a record that was found and is not acted upon.
func (f found) kept() *KeptError {
	kind := ErrUnreadable
	if f.aside {
		kind = ErrSetAside
	}
	return &KeptError{f.batch, f.uid, f.count, kind, f.err}
}
