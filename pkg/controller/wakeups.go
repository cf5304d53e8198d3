package controller

import (
	"slices"
	"sync"
)

// wakeups remembers which key waits for what.
//
// A thing may change while a reconciliation that has just read it is still
// under way. Such a change must not be missed, so each running reconciliation
// collects what was woken since it began; it is compared with what it wants to
// wait for when it ends.
type wakeups[K comparable] struct {
	mu      sync.Mutex
	waiting map[Dependency]map[K]struct{}
	wants   map[K][]Dependency
	running map[K][]Dependency
}

func newWakeups[K comparable]() *wakeups[K] {
	return &wakeups[K]{
		waiting: map[Dependency]map[K]struct{}{},
		wants:   map[K][]Dependency{},
		running: map[K][]Dependency{},
	}
}

// begin notes that key is being reconciled and no longer waits for anything.
func (w *wakeups[K]) begin(key K) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(key)
	w.running[key] = nil
}

// end notes that key now waits for the dependencies. It returns true, and
// notes nothing, when one of them was woken since begin.
func (w *wakeups[K]) end(key K, dependencies []Dependency) (missed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	woken := w.running[key]
	delete(w.running, key)
	for _, d := range dependencies {
		if slices.Contains(woken, d) {
			return true
		}
	}
	for _, d := range dependencies {
		if w.waiting[d] == nil {
			w.waiting[d] = map[K]struct{}{}
		}
		w.waiting[d][key] = struct{}{}
	}
	if len(dependencies) > 0 {
		w.wants[key] = dependencies
	}
	return false
}

// wake returns the keys that wait for d; they wait no longer.
func (w *wakeups[K]) wake(d Dependency) []K {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, woken := range w.running {
		if !slices.Contains(woken, d) {
			w.running[key] = append(woken, d)
		}
	}
	keys := make([]K, 0, len(w.waiting[d]))
	for key := range w.waiting[d] {
		keys = append(keys, key)
	}
	for _, key := range keys {
		w.drop(key)
	}
	return keys
}

func (w *wakeups[K]) drop(key K) {
	for _, d := range w.wants[key] {
		delete(w.waiting[d], key)
		if len(w.waiting[d]) == 0 {
			delete(w.waiting, d)
		}
	}
	delete(w.wants, key)
}
