package stage

import (
	"context"
	_ "embed" // for the definitions
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/wait"
)

//go:embed kinds.yaml
var kinds string

// addKinds adds the kinds of kinds.yaml, and waits until they can be used.
func (s *Stage) addKinds(ctx context.Context) error {
	if err := s.Apply(ctx, kinds); err != nil {
		return err
	}
	for version, resources := range map[string]int{"snapshot.storage.k8s.io/v1": 4, "gateway.networking.k8s.io/v1beta1": 1} { // with status
		err := wait.Until(ctx, "there are the kinds of "+version, func() (bool, error) {
			found, err := s.Client.Discovery().ServerResourcesForGroupVersion(version)
			if apierrors.IsNotFound(err) || apierrors.IsServiceUnavailable(err) {
				return false, nil
			}
			return err == nil && len(found.APIResources) == resources, err
		})
		if err != nil {
			return fmt.Errorf("adding kinds: %w", err)
		}
	}
	return nil
}
