package kube

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
)

// owned is an object, and whom it is controlled by.
func ownedObject(version, kind, name string, by *metav1.OwnerReference) runtime.Object {
	object := &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: version, Kind: kind},
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name)},
	}
	if by != nil {
		object.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "no-controller", UID: "x"}, *by}
	}
	return object
}

func controllerRef(version, kind, name string) *metav1.OwnerReference {
	yes := true
	return &metav1.OwnerReference{APIVersion: version, Kind: kind, Name: name, UID: types.UID("uid-" + name), Controller: &yes, BlockOwnerDeletion: &yes}
}

// kinds are those of an API server.
func kinds() []*metav1.APIResourceList {
	return []*metav1.APIResourceList{
		{GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "pods/status", Kind: "Pod", Namespaced: true}, {Name: "pods", Kind: "Pod", Namespaced: true}, {Name: "nodes", Kind: "Node"},
		}},
		{GroupVersion: "apps/v1", APIResources: []metav1.APIResource{
			{Name: "deployments", Kind: "Deployment", Namespaced: true}, {Name: "replicasets", Kind: "ReplicaSet", Namespaced: true},
		}},
		{GroupVersion: "example.com/v1", APIResources: []metav1.APIResource{{Name: "drivers", Kind: "Driver", Namespaced: true}}},
	}
}

func TestOwner(t *testing.T) {
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	core := fake.NewClientset()
	core.Resources = kinds()
	clients := &Clients{Core: core, Metadata: metadatafake.NewSimpleMetadataClient(scheme,
		ownedObject("v1", "Pod", "pod", controllerRef("apps/v1", "ReplicaSet", "set")),
		ownedObject("apps/v1", "ReplicaSet", "set", controllerRef("apps/v1", "Deployment", "deployment")),
		ownedObject("apps/v1", "Deployment", "deployment", controllerRef("example.com/v1", "Driver", "driver")),
		ownedObject("v1", "Pod", "lone", nil),
		ownedObject("v1", "Pod", "mirror", controllerRef("v1", "Node", "node")),
		ownedObject("v1", "Pod", "odd", controllerRef("a/b/c", "Odd", "odd")),
	)}
	for name, test := range map[string]struct {
		pod   string
		level int
		want  *metav1.OwnerReference
		fails string
	}{
		"the pod":                 {"pod", 0, controllerRef("v1", "Pod", "pod"), ""},
		"what controls it":        {"pod", 1, controllerRef("apps/v1", "ReplicaSet", "set"), ""},
		"the Deployment":          {"pod", 2, controllerRef("apps/v1", "Deployment", "deployment"), ""},
		"and what controls that":  {"pod", 3, controllerRef("example.com/v1", "Driver", "driver"), ""},
		"too high":                {"pod", 4, nil, "reading Driver ns/driver"},
		"a lone pod itself":       {"lone", 0, controllerRef("v1", "Pod", "lone"), ""},
		"a lone pod":              {"lone", 1, nil, "Pod ns/lone has no controller: --capacity-ownerref-level=1 must be at most 0"},
		"no pod":                  {"nobody", 1, nil, "reading Pod ns/nobody"},
		"not of the namespace":    {"mirror", 2, nil, "no kind Node in v1 with a namespace"},
		"a version that is wrong": {"odd", 2, nil, "reading Odd ns/odd"},
	} {
		t.Run(name, func(t *testing.T) {
			owner, err := Owner(t.Context(), clients, "ns", test.pod, test.level)
			if (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Fatalf("the error is %v, want %q", err, test.fails)
			}
			if test.want != nil {
				test.want.BlockOwnerDeletion = nil // That would keep the owner for the objects' sake.
			}
			if diff := cmp.Diff(test.want, owner); diff != "" {
				t.Errorf("the owner (-want +got):\n%s", diff)
			}
		})
	}
}
