package modify

import (
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// writes are the claims that were written and that the informer may not show
// yet. Until it does, a reconciliation goes by what was written: otherwise it
// would begin a modification a second time that has just ended.
//
// Whether the informer has caught up is found by equality of resource versions
// alone: what it shows is old when it is one of those that were written over. It
// never goes back in time, and each write is made over a known version (a
// precondition of the patch), so nobody else's write can lie in between.
type writes struct {
	mu sync.Mutex
	of map[Key]*write
}

type write struct {
	// replaced are the resource versions that were written over.
	replaced []string
	// latest is the claim as it was stored last.
	latest *corev1.PersistentVolumeClaim
}

func newWrites() *writes { return &writes{of: map[Key]*write{}} }

// begin notes that the claim, as it is, is about to be written over. It comes
// before the write as the informer may show it before the call returns.
func (w *writes) begin(from *corev1.PersistentVolumeClaim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := KeyOf(from)
	if w.of[key] == nil {
		w.of[key] = &write{latest: from}
	}
	w.of[key].replaced = append(w.of[key].replaced, from.ResourceVersion)
}

// end notes what became of a write: the claim as it is stored now, or nil for one
// that has failed.
func (w *writes) end(from, stored *corev1.PersistentVolumeClaim) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := KeyOf(from)
	entry := w.of[key]
	switch {
	case entry == nil:
		// The informer shows it already.
	case stored != nil && stored.ResourceVersion != from.ResourceVersion:
		entry.latest = stored
	default:
		entry.replaced = slices.DeleteFunc(entry.replaced, func(v string) bool { return v == from.ResourceVersion })
		if len(entry.replaced) == 0 {
			delete(w.of, key)
		}
	}
}

// newest returns the claim as it is known best, given what the informer shows.
func (w *writes) newest(shown *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := KeyOf(shown)
	entry := w.of[key]
	switch {
	case entry == nil:
		return shown
	case slices.Contains(entry.replaced, shown.ResourceVersion):
		return entry.latest
	}
	delete(w.of, key)
	return shown
}

func (w *writes) forget(key Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.of, key)
}

// pending tells whether there are writes of a claim.
func (w *writes) pending(key Key) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.of[key] != nil
}
