package journal

import "time"

// goneFor is for how long it is remembered that a batch was deleted. One that is
// written later all the same is taken for one that was never seen, which costs a look
// at its claims.
const goneFor = 10 * time.Minute

// names returns the batches that exist for certain.
func (j *Journal) names() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var names []string
	for name, s := range j.stored {
		if !s.lost {
			names = append(names, name)
		}
	}
	return names
}

// compare notes what others have deleted: of the batches that existed before the
// listing, those that are not in it have vanished.
//
// A batch should not vanish while its intents are under way. They are recorded again
// when they next begin.
func (j *Journal) compare(before []string, listed map[string]struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, name := range before {
		s, ok := j.stored[name]
		if !ok {
			continue
		}
		if _, exists := listed[name]; !exists {
			delete(j.stored, name)
			for uid := range s.keys {
				j.forget(uid, name)
			}
		}
	}
	now := j.options.Clock.Now()
	for name, deleted := range j.gone {
		if now.Sub(deleted) > goneFor {
			delete(j.gone, name)
		}
	}
	signal(j.dropNow)
}
