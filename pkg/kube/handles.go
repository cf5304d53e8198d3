package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
)

// Handles tells which PersistentVolume carries a volume of the driver, whatever its name,
// its claim and its phase.
type Handles struct {
	volumes  cache.Indexer
	client   kubernetes.Interface
	metadata metadata.Interface
	driver   string
	inTree   *InTree
	// lists shares a list among those who ask for it before it begins.
	lists shared[map[string][]string]
}

const byHandle = "handle"

// NewHandles returns the port. The informers are those of the same driver.
func NewHandles(clients *Clients, informers *Informers, driver string, inTree *InTree) *Handles {
	h := &Handles{
		volumes: informers.Volumes.GetIndexer(), client: clients.Core, metadata: clients.Metadata, driver: driver, inTree: inTree,
	}
	h.lists.get = h.uncached
	return h
}

// handleIndex indexes the driver's PersistentVolumes by their handle.
func handleIndex(driver string, inTree *InTree) cache.IndexFunc {
	return func(object any) ([]string, error) {
		volume, ok := object.(*corev1.PersistentVolume)
		if !ok {
			return nil, nil
		}
		if handle := handleOf(context.Background(), volume, driver, inTree); handle != "" {
			return []string{handle}, nil
		}
		return nil, nil
	}
}

// handleOf returns the handle of the driver's volume; empty for those of others. An
// in-tree volume that can't be translated is none of the driver's.
func handleOf(ctx context.Context, volume *corev1.PersistentVolume, driver string, inTree *InTree) string {
	volume, err := inTree.AsCSI(ctx, volume)
	if err != nil || volume.Spec.CSI == nil || volume.Spec.CSI.Driver != driver {
		return ""
	}
	return volume.Spec.CSI.VolumeHandle
}

// Holder returns the name of a PersistentVolume that the cache shows with that handle,
// other than the one of that name; empty for none.
func (h *Handles) Holder(handle, except string) (string, error) {
	keys, err := h.volumes.IndexKeys(byHandle, handle)
	if err != nil {
		return "", fmt.Errorf("looking for PersistentVolumes of volume %q: %w", handle, err)
	}
	return firstBut(keys, except), nil
}

// Holders returns all PersistentVolumes that the cache shows with that handle.
func (h *Handles) Holders(handle string) ([]*corev1.PersistentVolume, error) {
	objects, err := h.volumes.ByIndex(byHandle, handle)
	if err != nil {
		return nil, fmt.Errorf("looking for PersistentVolumes of volume %q: %w", handle, err)
	}
	var holders []*corev1.PersistentVolume
	for _, object := range objects {
		if volume, ok := object.(*corev1.PersistentVolume); ok {
			holders = append(holders, volume)
		}
	}
	return holders, nil
}

func firstBut(names []string, except string) string {
	for _, name := range names {
		if name != except {
			return name
		}
	}
	return ""
}

// HolderNow is like [Handles.Holder], but certain: no PersistentVolume that existed when it
// was called is missed. It takes a list of the names of all PersistentVolumes, which all
// share who ask at about the same time, and a request for each one that the cache does not
// show yet.
func (h *Handles) HolderNow(ctx context.Context, handle, except string) (string, error) {
	if holder, err := h.Holder(handle, except); holder != "" || err != nil {
		return holder, err
	}
	unseen, err := h.lists.next(ctx)
	if err != nil {
		return "", err
	}
	if name := firstBut(unseen[handle], except); name != "" {
		return name, nil
	}
	// What the list found in the cache may have come there after the first look.
	return h.Holder(handle, except)
}

// pageOfNames is how many names are read at a time, of about 500 bytes each.
const pageOfNames = 2000

// uncached returns the names of the driver's PersistentVolumes that the cache did not show,
// by their handles. The handle of a PersistentVolume can't be changed, so one that the
// cache shows is in the index.
func (h *Handles) uncached(ctx context.Context) (map[string][]string, error) {
	found := map[string][]string{}
	resource := h.metadata.Resource(volumeResource())
	options := metav1.ListOptions{Limit: pageOfNames}
	for {
		page, err := resource.List(ctx, options)
		if err != nil {
			return nil, fmt.Errorf("listing the PersistentVolumes: %w", err)
		}
		for i := range page.Items {
			if err := h.add(ctx, &page.Items[i], found); err != nil {
				return nil, err
			}
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return found, nil
		}
	}
}

// add notes a PersistentVolume that the cache does not show.
func (h *Handles) add(ctx context.Context, listed *metav1.PartialObjectMetadata, found map[string][]string) error {
	cached, exists, err := h.volumes.GetByKey(listed.Name)
	if err != nil {
		return fmt.Errorf("looking for PersistentVolume %q: %w", listed.Name, err)
	}
	if volume, ok := cached.(*corev1.PersistentVolume); exists && ok && volume.UID == listed.UID {
		return nil
	}
	volume, err := h.client.CoreV1().PersistentVolumes().Get(ctx, listed.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("reading PersistentVolume %q: %w", listed.Name, err)
	}
	if handle := handleOf(ctx, volume, h.driver, h.inTree); handle != "" {
		found[handle] = append(found[handle], volume.Name)
	}
	return nil
}
