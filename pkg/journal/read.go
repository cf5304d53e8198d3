package journal

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
)

// Read returns the intents in the content of segments, whoever's they are and whether
// they have ended or not. The error names those that can't be read.
func Read(segments map[string]map[string][]byte) ([]*Intent, error) {
	var intents []*Intent
	var broken []error
	for name, content := range segments {
		for _, f := range read(name, content) {
			if f.err != nil {
				broken = append(broken, fmt.Errorf("key %q of %q: %w", f.uid, f.segment, f.err))
				continue
			}
			intents = append(intents, f.intent)
		}
	}
	return intents, errors.Join(broken...)
}

// Knows tells whether this process takes care of a claim's intent, ended or not.
func (j *Journal) Knows(uid types.UID) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.records[uid] != nil
}
