package stage

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Apply creates or changes the objects of a YAML text, as kubectl apply does; a
// field that the API server does not know is an error. Objects without a namespace
// go to the namespace default.
func (s *Stage) Apply(ctx context.Context, manifests string) error {
	return s.apply(ctx, manifests, metav1.PatchOptions{})
}

// Validate has the API server check the objects of a YAML text as Apply does, and
// changes nothing.
func (s *Stage) Validate(ctx context.Context, manifests string) error {
	return s.apply(ctx, manifests, metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
}

func (s *Stage) apply(ctx context.Context, manifests string, options metav1.PatchOptions) error {
	objects, err := s.Objects()
	if err != nil {
		return fmt.Errorf("applying manifests: %w", err)
	}
	_, err = objects.Apply(ctx, metav1.NamespaceDefault, manifests, options)
	return err
}
