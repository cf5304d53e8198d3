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
	Claim types.UID
	// Kind is ErrUnreadable or ErrSetAside.
	Kind  error
	Cause error
}

func (e *KeptError) Error() string {
	return fmt.Sprintf("key %q of ConfigMap %q: %s", e.Claim, e.Batch, e.Cause)
}

// Unwrap returns the kind and the cause.
func (e *KeptError) Unwrap() []error { return []error{e.Kind, e.Cause} }

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
	sortKept(all)
	return all
}

// kept is a record that was found and is not acted upon.
func (f found) kept() *KeptError {
	kind := ErrUnreadable
	if f.aside {
		kind = ErrSetAside
	}
	return &KeptError{f.batch, f.uid, kind, f.err}
}

func sortKept(all []*KeptError) {
	slices.SortFunc(all, func(a, b *KeptError) int {
		return strings.Compare(a.Batch+"/"+string(a.Claim), b.Batch+"/"+string(b.Claim))
	})
}

// Read returns the intents in the content of batches, whoever's they are and whether
// they have ended or not, and those that can't be read, in order.
func Read(batches map[string]map[string][]byte) ([]*Intent, []*KeptError) {
	var intents []*Intent
	var broken []*KeptError
	for name, content := range batches {
		for _, f := range read(nil, name, content) {
			if f.err != nil {
				broken = append(broken, f.kept())
				continue
			}
			intents = append(intents, f.intent)
		}
	}
	sortKept(broken)
	return intents, broken
}
