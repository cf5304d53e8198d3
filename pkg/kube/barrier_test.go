package kube

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
)

// revised is a PersistentVolume at a revision.
func revised(name, revision string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: revision}}
}

// pages is an API server that lists objects as of a revision, one on each page.
type pages struct {
	metadata.Interface
	metadata.Getter
	revision string
	objects  []*corev1.PersistentVolume
	// lists counts the pages that were read.
	lists int
}

func (p *pages) Resource(schema.GroupVersionResource) metadata.Getter { return p }

func (p *pages) List(_ context.Context, options metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	p.lists++
	page := &metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: p.revision}}
	n := len(options.Continue)
	if n < len(p.objects) {
		page.Items = []metav1.PartialObjectMetadata{{ObjectMeta: p.objects[n].ObjectMeta}}
	}
	if n+1 < len(p.objects) {
		page.Continue = strings.Repeat("+", n+1)
	}
	return page, nil
}

// newTestBarrier returns a barrier at a revision, for an API server that lists the objects
// as of a later one.
func newTestBarrier(objects ...*corev1.PersistentVolume) (*Barrier, *pages) {
	server := &pages{revision: "12", objects: objects}
	return &Barrier{metadata: server, revisions: map[string]string{volumeResource().Resource: "10"}}, server
}

func TestBarrier(t *testing.T) {
	for name, c := range map[string]struct {
		// filled is the revision of the cache's list; events are told later.
		filled string
		cached []*corev1.PersistentVolume
		listed []*corev1.PersistentVolume
		events func(cache.Store) error
		// lists is the number of pages that are read.
		lists int
		waits bool
	}{
		"filled after it was raised": {filled: "10"},
		"idle":                       {filled: "5", cached: []*corev1.PersistentVolume{revised("a", "3")}, listed: []*corev1.PersistentVolume{revised("a", "3")}, lists: 1},
		"empty":                      {filled: "5", lists: 1},
		"ahead of the list":          {filled: "5", cached: []*corev1.PersistentVolume{revised("a", "13"), revised("b", "14")}, listed: []*corev1.PersistentVolume{revised("a", "3")}, lists: 1},
		"created since": {filled: "5", listed: []*corev1.PersistentVolume{revised("a", "3"), revised("b", "9")}, lists: 2, waits: true,
			cached: []*corev1.PersistentVolume{revised("a", "3")}, events: func(s cache.Store) error { return s.Add(revised("b", "9")) }},
		"changed since": {filled: "5", listed: []*corev1.PersistentVolume{revised("a", "9")}, lists: 1, waits: true,
			cached: []*corev1.PersistentVolume{revised("a", "3")}, events: func(s cache.Store) error { return s.Update(revised("a", "9")) }},
		"deleted since": {filled: "5", lists: 1, waits: true,
			cached: []*corev1.PersistentVolume{revised("a", "3")}, events: func(s cache.Store) error { return s.Delete(revised("a", "3")) }},
		"deleted and created again": {filled: "5", lists: 1, waits: true,
			cached: []*corev1.PersistentVolume{revised("a", "3")}, events: func(s cache.Store) error { return s.Update(revised("a", "15")) }},
		"created, and deleted after the list": {filled: "5", listed: []*corev1.PersistentVolume{revised("a", "9")}, lists: 1, waits: true,
			events: func(s cache.Store) error { s.Bookmark("12"); return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)
				var items []any
				for _, volume := range c.cached {
					items = append(items, volume)
				}
				if err := store.Replace(items, c.filled); err != nil {
					t.Fatal(err)
				}
				b, server := newTestBarrier(c.listed...)
				done := make(chan error, 1)
				go func() { done <- b.catchUp(t.Context(), volumeResource(), store) }()
				time.Sleep(time.Minute)
				if c.waits {
					select {
					case err := <-done:
						t.Fatalf("the cache counts as past the barrier (%v)", err)
					default:
					}
					if err := c.events(store); err != nil {
						t.Fatal(err)
					}
				}
				if err := <-done; err != nil {
					t.Error(err)
				}
				if server.lists != c.lists {
					t.Errorf("%d lists, want %d", server.lists, c.lists)
				}
			})
		})
	}
}

func TestBarrierEndsWithItsContext(t *testing.T) {
	b, _ := newTestBarrier(revised("a", "9"))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("told to stop"))
	err := b.catchUp(ctx, volumeResource(), cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil))
	if err == nil || !strings.Contains(err.Error(), "told to stop") {
		t.Errorf("error %v", err)
	}
}

func TestBarrierThatCannotBeRaised(t *testing.T) {
	client := metadatafake.NewSimpleMetadataClient(metadatafake.NewTestScheme())
	client.PrependReactor("list", "persistentvolumes", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("no leader")
	})
	if _, err := RaiseBarrier(t.Context(), client); err == nil || !strings.Contains(err.Error(), "asking for the revision of persistentvolumes: no leader") {
		t.Errorf("error %v", err)
	}
}
