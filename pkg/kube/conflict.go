package kube

import (
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxConflicts is the number of times that a write is tried on a newer object. Who loses
// more often decides again.
const maxConflicts = 5

// OnNewer writes to an object. If it has changed meanwhile, it is read, and the write
// tried on what it is now, rather than what is to be written be lost. The error is the
// conflict for an object that has been replaced, or changes all the time.
func OnNewer[T metav1.Object](from T, write func(T) (T, error), read func() (T, error)) (T, error) {
	for conflicts := 0; ; conflicts++ {
		written, err := write(from)
		if !apierrors.IsConflict(err) || conflicts == maxConflicts {
			return written, err
		}
		current, readErr := read()
		switch {
		case readErr != nil:
			return from, readErr
		case current.GetUID() != from.GetUID():
			return from, err
		}
		from = current
	}
}
