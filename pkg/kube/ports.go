package kube

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// EventSender sends events; see [Events].
type EventSender interface {
	Normal(object runtime.Object, reason, message string)
	Warning(object runtime.Object, reason, message string)
}

// SecretReader reads Secrets; see [Secrets].
type SecretReader interface {
	Get(ctx context.Context, ref secrets.Ref) (secrets.Credentials, error)
	Forget(ref secrets.Ref)
}

// ReadCredentials reads the Secret that a call to the driver needs; there are no
// credentials without a reference. The error says what they are for.
func ReadCredentials(ctx context.Context, from SecretReader, ref *secrets.Ref, use string) (secrets.Credentials, error) {
	if ref == nil {
		return secrets.Credentials{}, nil
	}
	credentials, err := from.Get(ctx, *ref)
	if err != nil {
		return secrets.Credentials{}, fmt.Errorf("getting the secret for %s: %w", use, err)
	}
	return credentials, nil
}
