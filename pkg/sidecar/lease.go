package sidecar

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// isFree tells whether the object is a lease that nobody holds.
func isFree(object runtime.Object) bool {
	lease, ok := object.(*coordinationv1.Lease)
	return ok && (lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "")
}

// signal notes something for a reader that needs to know only that it happened.
func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
