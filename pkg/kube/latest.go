package kube

import (
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Latest remembers objects as the API server has answered to own writes, until
// an informer shows them or something newer: who writes reads what was written,
// although nobody writes into an informer's store. The zero value is ready for
// use.
type Latest[T metav1.Object] struct {
	mu      sync.Mutex
	written map[types.UID]T
}

// Remember notes the object that a write has returned. It belongs to the callee
// from then on.
func (l *Latest[T]) Remember(object T) {
	object.SetManagedFields(nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.written == nil {
		l.written = map[types.UID]T{}
	}
	l.written[object.GetUID()] = object
}

// Newest returns the newer one of what an informer shows and what was written.
func (l *Latest[T]) Newest(shown T) T {
	l.mu.Lock()
	defer l.mu.Unlock()
	written, ok := l.written[shown.GetUID()]
	if !ok {
		return shown
	}
	order, err := resourceversion.CompareResourceVersion(written.GetResourceVersion(), shown.GetResourceVersion())
	if err == nil && order > 0 {
		return written
	}
	delete(l.written, shown.GetUID())
	return shown
}

// Forget drops what is remembered of an object that has gone.
func (l *Latest[T]) Forget(uid types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.written, uid)
}
