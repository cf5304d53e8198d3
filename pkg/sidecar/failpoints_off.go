//go:build !failpoints

package sidecar

import (
	"google.golang.org/grpc"
	"k8s.io/client-go/rest"
)

// failpointsAtAPI and failpointsAtDriver are for tests of crashes; see the build
// tag failpoints.
func failpointsAtAPI(*rest.Config) error { return nil }

func failpointsAtDriver() []grpc.UnaryClientInterceptor { return nil }
