package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
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

// Objects reads and writes objects of any kind that the cluster has, as an
// administrator.
type Objects struct {
	client dynamic.Interface
	mapper meta.RESTMapper
	kinds  map[string]schema.GroupVersionKind
}

// Objects asks the cluster for its kinds. Kinds that come later are not known.
func (s *Stage) Objects() (*Objects, error) {
	config := s.Cluster.RESTConfig()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	discoverer, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	groups, err := restmapper.GetAPIGroupResources(discoverer)
	if err != nil {
		return nil, fmt.Errorf("asking for the API's resources: %w", err)
	}
	return &Objects{client: client, mapper: restmapper.NewDiscoveryRESTMapper(groups), kinds: kindsOf(groups)}, nil
}

// kindsOf are the kinds by their bare names, in the preferred version; of several
// groups that have a kind the first one's, which is the core.
func kindsOf(groups []*restmapper.APIGroupResources) map[string]schema.GroupVersionKind {
	found := map[string]schema.GroupVersionKind{}
	for _, group := range groups {
		version := group.Group.PreferredVersion.Version
		for _, resource := range group.VersionedResources[version] {
			if _, taken := found[resource.Kind]; !taken && !strings.Contains(resource.Name, "/") {
				found[resource.Kind] = schema.GroupVersionKind{Group: group.Group.Name, Version: version, Kind: resource.Kind}
			}
		}
	}
	return found
}

// Has tells whether the cluster has a kind.
func (o *Objects) Has(kind string) bool {
	_, known := o.kinds[kind]
	return known
}

// Of returns the client of a kind by its bare name. The namespace does not matter
// to kinds that have none.
func (o *Objects) Of(kind, namespace string) (dynamic.ResourceInterface, error) {
	known, ok := o.kinds[kind]
	if !ok {
		return nil, fmt.Errorf("the cluster has no kind %q", kind)
	}
	return o.resource(known, namespace)
}

func (o *Objects) resource(kind schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	mapping, err := o.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return o.client.Resource(mapping.Resource).Namespace(namespace), nil
	}
	return o.client.Resource(mapping.Resource), nil
}

// Apply creates or changes the objects of a YAML text, as kubectl apply does, and
// returns them as they are then. Objects that name no namespace go to the given
// one. A field that the API server does not know is an error.
func (o *Objects) Apply(ctx context.Context, namespace, manifests string, options metav1.PatchOptions) ([]*unstructured.Unstructured, error) {
	var applied []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifests), yamlBuffer)
	for {
		var object unstructured.Unstructured
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return applied, nil
		}
		if err != nil {
			return applied, fmt.Errorf("reading manifests: %w", err)
		}
		if len(object.Object) == 0 {
			continue
		}
		now, err := o.applyOne(ctx, namespace, &object, options)
		if err != nil {
			return applied, fmt.Errorf("applying %s %q: %w", object.GetKind(), object.GetName(), err)
		}
		applied = append(applied, now)
	}
}

func (o *Objects) applyOne(ctx context.Context, namespace string, object *unstructured.Unstructured, options metav1.PatchOptions) (*unstructured.Unstructured, error) {
	if object.GetNamespace() != "" {
		namespace = object.GetNamespace()
	}
	target, err := o.resource(object.GroupVersionKind(), namespace)
	if err != nil {
		return nil, err
	}
	content, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	force := true
	options.FieldManager, options.Force, options.FieldValidation = fieldManager, &force, metav1.FieldValidationStrict
	return target.Patch(ctx, object.GetName(), types.ApplyPatchType, content, options)
}
