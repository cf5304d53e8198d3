package journal

import (
	"context"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// Store keeps batches: small objects of the API server, each with one key for
// an intent. See [kube.Batches].
type Store interface {
	// Create stores a batch under a name that is not used twice.
	Create(ctx context.Context, name string, content map[string][]byte) error
	// Drop removes keys of a batch. That it has none of them, or has gone, is
	// no error.
	Drop(ctx context.Context, name string, keys []string) error
	// Delete removes a batch. That it has gone is no error.
	Delete(ctx context.Context, name string) error
	// Each calls see for each batch.
	Each(ctx context.Context, see func(kube.Batch)) error
}
