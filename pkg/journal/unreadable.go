package journal

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// ErrUnreadable is wrapped by every [UnreadableError].
var ErrUnreadable = errors.New("the record can't be read")

// UnreadableError is why a record can't be read: mostly, a newer version of this program
// has written it. Nothing is known of it but the UID of its claim, which is its key.
type UnreadableError struct {
	Batch string
	Claim types.UID
	Cause error
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("key %q of ConfigMap %q: %s", e.Claim, e.Batch, e.Cause)
}

// Unwrap returns ErrUnreadable and the cause.
func (e *UnreadableError) Unwrap() []error { return []error{ErrUnreadable, e.Cause} }

// Read returns the intents in the content of batches, whoever's they are and whether
// they have ended or not, and those that can't be read, in order.
func Read(batches map[string]map[string][]byte) ([]*Intent, []*UnreadableError) {
	var intents []*Intent
	var broken []*UnreadableError
	for name, content := range batches {
		for _, f := range read(nil, name, content) {
			if f.err != nil {
				broken = append(broken, &UnreadableError{f.batch, f.uid, f.err})
				continue
			}
			intents = append(intents, f.intent)
		}
	}
	sortUnreadable(broken)
	return intents, broken
}

// Unreadable returns the records that this journal keeps but can't read, in order.
func (j *Journal) Unreadable() []*UnreadableError {
	var all []*UnreadableError
	j.eachKept(func(_ string, _ types.UID, why error) {
		var unreadable *UnreadableError
		if errors.As(why, &unreadable) {
			all = append(all, unreadable)
		}
	})
	sortUnreadable(all)
	return all
}

func sortUnreadable(all []*UnreadableError) {
	slices.SortFunc(all, func(a, b *UnreadableError) int {
		return strings.Compare(a.Batch+"/"+string(a.Claim), b.Batch+"/"+string(b.Claim))
	})
}

// Knows tells whether this process takes care of a claim's intent, ended or not.
func (j *Journal) Knows(uid types.UID) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.records[uid] != nil
}
