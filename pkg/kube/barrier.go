package kube

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// Barrier is a moment at the API server. The caches are past it when they show all
// claims and PersistentVolumes that had been written by then, and none that had been
// deleted.
type Barrier struct {
	metadata metadata.Interface
	// revisions are those at the moment, by resource. Nothing says that resources share
	// their revisions: each may have an etcd of its own.
	revisions map[string]string
}

func claimResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
}

func volumeResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumes"}
}

// RaiseBarrier returns the barrier of now: what was written before it was called is
// before the barrier. It takes two small requests.
func RaiseBarrier(ctx context.Context, client metadata.Interface) (*Barrier, error) {
	var claims, volumes string
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { claims, err = revision(ctx, client, claimResource()); return err })
	group.Go(func() (err error) { volumes, err = revision(ctx, client, volumeResource()); return err })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return &Barrier{client, map[string]string{claimResource().Resource: claims, volumeResource().Resource: volumes}}, nil
}

// revision returns the resourceVersion of a list that is consistent: no write that was
// answered before it began is newer.
func revision(ctx context.Context, client metadata.Interface, resource schema.GroupVersionResource) (string, error) {
	list, err := client.Resource(resource).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return "", fmt.Errorf("asking for the revision of %s: %w", resource.Resource, err)
	}
	return list.ResourceVersion, nil
}

// barrierPoll is the time between two looks at the caches.
const barrierPoll = 5 * time.Millisecond

// Wait returns when the caches, which must be filled, are past the barrier. Caches that
// were filled after it was raised are past it at once. Those of a standby were filled long
// before, and what they have been told since does not say how new they are: an idle watch
// is told its revision once a minute. So they are compared with a list of the objects'
// names.
func (b *Barrier) Wait(ctx context.Context, informers *Informers) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return b.catchUp(ctx, claimResource(), informers.Claims.GetIndexer()) })
	group.Go(func() error { return b.catchUp(ctx, volumeResource(), informers.Volumes.GetIndexer()) })
	return group.Wait()
}

func (b *Barrier) catchUp(ctx context.Context, resource schema.GroupVersionResource, store cache.Store) error {
	if isAtLeast(store.LastStoreSyncResourceVersion(), b.revisions[resource.Resource]) {
		return nil
	}
	missing, revision, err := b.compare(ctx, resource, store)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(barrierPoll)
	defer ticker.Stop()
	for {
		missing = missing.left(store)
		if len(missing) == 0 || isAtLeast(store.LastStoreSyncResourceVersion(), revision) {
			klog.FromContext(ctx).V(2).Info("The cache has caught up with the API server", "resource", resource.Resource)
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting until the cache of %s has caught up with the API server: %w", resource.Resource, context.Cause(ctx))
		}
	}
}

// unseen are the objects of which a cache does not show the revision, or a newer one, by
// their keys; the revision is empty for those that it shows although they have gone.
type unseen map[string]string

// compare lists all objects, and returns what the cache does not show yet of the list, and
// the revision of the list.
func (b *Barrier) compare(ctx context.Context, resource schema.GroupVersionResource, store cache.Store) (unseen, string, error) {
	missing, there := unseen{}, map[string]struct{}{}
	options := metav1.ListOptions{Limit: pageOfNames}
	for {
		page, err := b.metadata.Resource(resource).List(ctx, options)
		if err != nil {
			return nil, "", fmt.Errorf("comparing the cache of %s with the API server: %w", resource.Resource, err)
		}
		for i := range page.Items {
			item := &page.Items[i]
			key := strings.Clone(cache.MetaObjectToName(item).String())
			there[key] = struct{}{}
			if !shows(store, key, item.ResourceVersion) {
				missing[key] = item.ResourceVersion
			}
		}
		if options.Continue = page.Continue; options.Continue != "" {
			continue
		}
		// All pages are of one revision.
		for _, key := range store.ListKeys() {
			if _, ok := there[key]; !ok && !shows(store, key, page.ResourceVersion) {
				missing[key] = ""
			}
		}
		return missing, page.ResourceVersion, nil
	}
}

// left returns those that the cache still does not show.
func (u unseen) left(store cache.Store) unseen {
	left := unseen{}
	for key, revision := range u {
		_, exists, err := store.GetByKey(key)
		gone := err == nil && !exists
		if revision == "" && gone || revision != "" && shows(store, key, revision) {
			continue
		}
		left[key] = revision
	}
	return left
}

// shows tells whether the cache shows the object of that key as it was at a revision, or
// newer.
func shows(store cache.Store, key, revision string) bool {
	object, exists, err := store.GetByKey(key)
	if err != nil || !exists {
		return false
	}
	cached, ok := object.(metav1.Object)
	return ok && isAtLeast(cached.GetResourceVersion(), revision)
}

// isAtLeast tells whether a revision is another one or newer.
func isAtLeast(revision, other string) bool {
	order, err := resourceversion.CompareResourceVersion(revision, other)
	return err == nil && order >= 0
}
