package faults

import (
	"net/http"

	"google.golang.org/grpc/codes"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// Codes are those of errors after which a call may have been done or not.
func Codes() []codes.Code {
	return []codes.Code{codes.Unknown, codes.Internal, codes.DeadlineExceeded, codes.Unavailable, codes.Aborted}
}

// SidecarRequests are the kinds of requests of a sidecar to the API server that matter to
// what becomes of volumes.
func SidecarRequests() []proxy.Match {
	const object = `/[^/]+$`
	return []proxy.Match{
		{Method: http.MethodPost, Path: `/persistentvolumes$`},
		{Method: http.MethodPatch, Path: `/persistentvolumes` + object},
		{Method: http.MethodDelete, Path: `/persistentvolumes` + object},
		{Method: http.MethodPatch, Path: `/persistentvolumeclaims/[^/]+/status$`},
		{Method: http.MethodPost, Path: `/configmaps$`},
		{Method: http.MethodPatch, Path: `/configmaps` + object},
		{Method: http.MethodDelete, Path: `/configmaps` + object},
		{Method: http.MethodGet, Path: `/secrets` + object},
		{Method: http.MethodPut, Path: `/leases` + object},
	}
}

// Answers are errors of the API server that a client is to try again after.
func Answers() []*metav1.Status {
	return []*metav1.Status{proxy.Conflict(), proxy.InternalError(), proxy.Timeout(), proxy.TooManyRequests(1)}
}
