package kube

import (
	"context"
	"fmt"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	storageinformers "k8s.io/client-go/informers/storage/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// CapacityScope says which CSIStorageCapacity objects are watched: those of one
// namespace that carry the labels of one driver and one manager.
type CapacityScope struct {
	Namespace         string
	Driver, ManagedBy string
	// Pair names what an object is for; see [Informers.CapacitiesFor].
	Pair func(*storagev1.CSIStorageCapacity) string
}

const byPair = "pair"

// capacities returns the informer of a scope, which starts and stops with the
// factory.
func (s CapacityScope) capacities(factory informers.SharedInformerFactory) cache.SharedIndexInformer {
	selector := labels.SelectorFromSet(labels.Set{names.CapacityDriver: s.Driver, names.CapacityManagedBy: s.ManagedBy}).String()
	indexers := cache.Indexers{byPair: func(object any) ([]string, error) {
		if found, ok := object.(*storagev1.CSIStorageCapacity); ok {
			return []string{s.Pair(found)}, nil
		}
		return nil, nil
	}}
	return factory.InformerFor(&storagev1.CSIStorageCapacity{}, func(client kubernetes.Interface, resync time.Duration) cache.SharedIndexInformer {
		return storageinformers.NewFilteredCSIStorageCapacityInformer(client, s.Namespace, resync, indexers,
			func(options *metav1.ListOptions) { options.LabelSelector = selector })
	})
}

// trimCapacity drops what nobody reads.
func trimCapacity(object any) (any, error) {
	if found, ok := object.(*storagev1.CSIStorageCapacity); ok {
		found.ManagedFields = nil
	}
	return object, nil
}

// CapacitiesFor returns the CSIStorageCapacity objects for one pair, in the words
// of [CapacityScope].
func (i *Informers) CapacitiesFor(pair string) ([]*storagev1.CSIStorageCapacity, error) {
	objects, err := i.Capacities.GetIndexer().ByIndex(byPair, pair)
	if err != nil {
		return nil, fmt.Errorf("looking for the CSIStorageCapacity of %s: %w", pair, err)
	}
	return capacitiesOf(objects), nil
}

// AllCapacities returns all CSIStorageCapacity objects of the scope.
func (i *Informers) AllCapacities() []*storagev1.CSIStorageCapacity {
	return capacitiesOf(i.Capacities.GetIndexer().List())
}

func capacitiesOf(objects []any) []*storagev1.CSIStorageCapacity {
	found := make([]*storagev1.CSIStorageCapacity, 0, len(objects))
	for _, object := range objects {
		if one, ok := object.(*storagev1.CSIStorageCapacity); ok {
			found = append(found, one)
		}
	}
	return found
}

// NodeObserver is told where the driver runs.
type NodeObserver interface {
	SetNode(name string, labels map[string]string)
	DeleteNode(name string)
	// SetRegistration tells whether the driver is registered on a node, and with
	// which topology keys.
	SetRegistration(name string, keys []string, registered bool)
	DeleteRegistration(name string)
}

// FeedNodes tells the observer of nodes and of the driver's registrations,
// beginning with what there is now. There are none in node deployment.
func (i *Informers) FeedNodes(observer NodeObserver, driver string) error {
	if i.Nodes == nil {
		return nil
	}
	err := i.Handle(i.Nodes, "nodes with capacity", onEach(func(node *metav1.PartialObjectMetadata) {
		observer.SetNode(node.Name, node.Labels)
	}, func(node *metav1.PartialObjectMetadata) {
		observer.DeleteNode(node.Name)
	}))
	if err != nil {
		return err
	}
	return i.Handle(i.CSINodes, "registrations with capacity", onEach(func(node *storagev1.CSINode) {
		keys, registered := registrationOf(node, driver)
		observer.SetRegistration(node.Name, keys, registered)
	}, func(node *storagev1.CSINode) {
		observer.DeleteRegistration(node.Name)
	}))
}

func registrationOf(node *storagev1.CSINode, driver string) (keys []string, registered bool) {
	for _, entry := range node.Spec.Drivers {
		if entry.Name == driver {
			return entry.TopologyKeys, true
		}
	}
	return nil, false
}

// Capacities writes CSIStorageCapacity objects.
type Capacities struct{ client kubernetes.Interface }

// NewCapacities returns the port.
func NewCapacities(client kubernetes.Interface) *Capacities { return &Capacities{client} }

// Get reads an object as it is now.
func (c *Capacities) Get(ctx context.Context, namespace, name string) (*storagev1.CSIStorageCapacity, error) {
	object, err := c.client.StorageV1().CSIStorageCapacities(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading CSIStorageCapacity %s/%s: %w", namespace, name, err)
	}
	return object, nil
}

// Create makes an object. The error is apierrors.IsAlreadyExists when there is
// one of that name.
func (c *Capacities) Create(ctx context.Context, object *storagev1.CSIStorageCapacity) error {
	_, err := c.client.StorageV1().CSIStorageCapacities(object.Namespace).Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		return capacityError("creating", object, err)
	}
	return nil
}

// Patch changes an object under the same rules as [Claims.Patch].
func (c *Capacities) Patch(ctx context.Context, from, to *storagev1.CSIStorageCapacity) (*storagev1.CSIStorageCapacity, error) {
	patch, err := difference(from, to, from.ObjectMeta)
	if err != nil || patch == nil {
		return from, err
	}
	patched, err := c.client.StorageV1().CSIStorageCapacities(from.Namespace).Patch(ctx, from.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return nil, capacityError("changing", from, err)
	}
	return patched, nil
}

// Delete deletes an object, if it is still the one with that UID; one that is
// gone, or that another has replaced, is no error.
func (c *Capacities) Delete(ctx context.Context, object *storagev1.CSIStorageCapacity) error {
	err := c.client.StorageV1().CSIStorageCapacities(object.Namespace).Delete(ctx, object.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &object.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return capacityError("deleting", object, err)
	}
	return nil
}

func capacityError(doing string, object *storagev1.CSIStorageCapacity, err error) error {
	fix := ""
	if apierrors.IsForbidden(err) {
		fix = fmt.Sprintf("the service account may not: grant it the verbs get, list, watch, create, patch and delete for csistoragecapacities in namespace %q: ", object.Namespace)
	}
	return fmt.Errorf("%s CSIStorageCapacity %s/%s: %s%w", doing, object.Namespace, object.Name, fix, err)
}
