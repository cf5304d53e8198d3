package kube

import (
	"k8s.io/client-go/tools/cache"
)

// onEach returns a handler that calls set for objects that appear or change,
// and gone for those that disappear.
func onEach[T any](set, gone func(T)) cache.ResourceEventHandlerFuncs {
	return OnChange(func(_, now T) { set(now) }, gone)
}

// OnChange returns a handler that calls set with the old object (the zero value
// for one that appears) and the new one, and gone for those that disappear.
func OnChange[T any](set func(old, now T), gone func(T)) cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) {
			if now, ok := object.(T); ok {
				var none T
				set(none, now)
			}
		},
		UpdateFunc: func(before, object any) {
			old, okOld := before.(T)
			now, ok := object.(T)
			if ok && okOld {
				set(old, now)
			}
		},
		DeleteFunc: func(object any) {
			if missed, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = missed.Obj
			}
			if last, ok := object.(T); ok {
				gone(last)
			}
		},
	}
}
