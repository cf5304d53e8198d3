package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
)

const (
	fieldManager = "csi-provisioner-e2e"
	yamlBuffer   = 4096
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
	config := s.Cluster.RESTConfig()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("applying manifests: %w", err)
	}
	discoverer, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("applying manifests: %w", err)
	}
	resources, err := restmapper.GetAPIGroupResources(discoverer)
	if err != nil {
		return fmt.Errorf("applying manifests: asking for the API's resources: %w", err)
	}
	mapper := restmapper.NewDiscoveryRESTMapper(resources)
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifests), yamlBuffer)
	for {
		var object unstructured.Unstructured
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("applying manifests: %w", err)
		}
		if len(object.Object) == 0 {
			continue
		}
		kind := object.GroupVersionKind()
		mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil {
			return fmt.Errorf("applying %s %q: %w", kind.Kind, object.GetName(), err)
		}
		var target dynamic.ResourceInterface = client.Resource(mapping.Resource)
		if mapping.Scope.Name() == "namespace" {
			if object.GetNamespace() == "" {
				object.SetNamespace(metav1.NamespaceDefault)
			}
			target = client.Resource(mapping.Resource).Namespace(object.GetNamespace())
		}
		if err := applyOne(ctx, target, &object, options); err != nil {
			return err
		}
	}
}

func applyOne(ctx context.Context, target dynamic.ResourceInterface, object *unstructured.Unstructured, options metav1.PatchOptions) error {
	content, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("applying %s %q: %w", object.GetKind(), object.GetName(), err)
	}
	force := true
	options.FieldManager, options.Force, options.FieldValidation = fieldManager, &force, metav1.FieldValidationStrict
	if _, err := target.Patch(ctx, object.GetName(), types.ApplyPatchType, content, options); err != nil {
		return fmt.Errorf("applying %s %q: %w", object.GetKind(), object.GetName(), err)
	}
	return nil
}
