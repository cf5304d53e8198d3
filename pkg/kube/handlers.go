package kube

import (
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// onEach returns a handler that calls set for objects that appear or change,
// and gone for those that disappear.
func onEach[T any](set, gone func(T)) cache.ResourceEventHandlerFuncs {
	return OnChange(func(_, now T) { set(now) }, gone)
}

// replaced tells whether two objects of one name are not the same.
func replaced(old, now any) bool {
	before, ok := old.(interface{ GetUID() types.UID })
	after, okAfter := now.(interface{ GetUID() types.UID })
	return ok && okAfter && before.GetUID() != after.GetUID()
}

// OnChange returns a handler that calls set with the old object (the zero value
// for one that appears) and the new one, and gone for those that disappear. An object
// that another one of its name has replaced, of which informers tell as a change when
// they have missed the rest, has gone, and the other one appears.
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
			switch {
			case !ok || !okOld:
			case replaced(old, now):
				gone(old)
				var none T
				set(none, now)
			default:
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
