package kube

import "sync"

// Expectations are own writes that the informers have not shown yet, by any key
// that names the object. The zero value is ready for use.
type Expectations struct {
	mu      sync.Mutex
	pending map[string]struct{}
}

// Expect notes a write, which may have been made already. The informer may have been
// faster, with this write or with another one like it, so it is asked afterwards
// whether it has shown it: nobody would observe it any more.
func (e *Expectations) Expect(key string, shown func() bool) {
	e.mu.Lock()
	if e.pending == nil {
		e.pending = map[string]struct{}{}
	}
	e.pending[key] = struct{}{}
	e.mu.Unlock()
	if shown() {
		e.Observe(key)
	}
}

// Observe notes that an informer has shown the write.
func (e *Expectations) Observe(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.pending, key)
}

// Pending tells whether the write has not been seen yet.
func (e *Expectations) Pending(key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.pending[key]
	return ok
}
