package kube

import "sync"

// Expectations are own writes that the informers have not shown yet, by any key
// that names the object. The zero value is ready for use.
type Expectations struct {
	mu      sync.Mutex
	pending map[string]struct{}
}

// Expect notes a write.
func (e *Expectations) Expect(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pending == nil {
		e.pending = map[string]struct{}{}
	}
	e.pending[key] = struct{}{}
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
