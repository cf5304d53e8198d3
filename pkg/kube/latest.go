package kube

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	corelisters "k8s.io/client-go/listers/core/v1"
)

// Latest remembers objects as the API server has answered to own writes, until
// an informer shows them or something newer, or that they have gone: who writes reads
// what was written, although nobody writes into an informer's store.
type Latest[T metav1.Object] struct {
	shown func(T) (T, bool)

	mu      sync.Mutex
	written map[types.UID]T
}

// NewLatest returns a memory that is empty. The function shown returns the object that
// has the place (the name) of another one in the informer's store; false for none.
func NewLatest[T metav1.Object](shown func(T) (T, bool)) *Latest[T] {
	return &Latest[T]{shown: shown, written: map[types.UID]T{}}
}

// Remember notes the object that a write has returned. It belongs to the callee
// from then on. The informer may have been faster than the answer to the write, so it
// is looked at afterwards.
func (l *Latest[T]) Remember(object T) {
	object.SetManagedFields(nil)
	l.mu.Lock()
	l.written[object.GetUID()] = object
	l.mu.Unlock()
	l.Seen(object)
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

// Seen is to be called whenever the informer has shown an object, or that it has gone:
// what was remembered of it is dropped then, if that is the case. As handlers are told
// late, it is the store that counts.
func (l *Latest[T]) Seen(object T) {
	if !l.remembers(object.GetUID()) {
		return
	}
	shown, ok := l.shown(object)
	if ok && shown.GetUID() == object.GetUID() {
		l.Newest(shown)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.written, object.GetUID())
}

func (l *Latest[T]) remembers(uid types.UID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.written[uid]
	return ok
}

// ShownClaim returns what [NewLatest] needs to know of claims.
func ShownClaim(claims corelisters.PersistentVolumeClaimLister) func(*corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, bool) {
	return func(claim *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, bool) {
		shown, err := claims.PersistentVolumeClaims(claim.Namespace).Get(claim.Name)
		return shown, err == nil
	}
}

// ShownVolume does the same for PersistentVolumes.
func ShownVolume(volumes corelisters.PersistentVolumeLister) func(*corev1.PersistentVolume) (*corev1.PersistentVolume, bool) {
	return func(volume *corev1.PersistentVolume) (*corev1.PersistentVolume, bool) {
		shown, err := volumes.Get(volume.Name)
		return shown, err == nil
	}
}
