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
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
)

// revised is a PersistentVolume at a revision.
func revised(name, revision string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: revision}}
}

// newTestBarrier returns a barrier at a revision, for an API server that lists the objects
// as of another revision, on pages of one each.
func newTestBarrier(at, listed string, objects ...*corev1.PersistentVolume) (*Barrier, *metadatafake.FakeMetadataClient) {
	client := metadatafake.NewSimpleMetadataClient(metadatafake.NewTestScheme())
	client.PrependReactor("list", "persistentvolumes", func(action clienttesting.Action) (bool, runtime.Object, error) {
		page := &metav1.List{ListMeta: metav1.ListMeta{ResourceVersion: listed}}
		options := action.(clienttesting.ListActionImpl).ListOptions
		n := len(options.Continue)
		if n < len(objects) {
			page.Items = []runtime.RawExtension{{Object: &metav1.PartialObjectMetadata{ObjectMeta: objects[n].ObjectMeta}}}
		}
		if n+1 < len(objects) {
			page.Continue = strings.Repeat("+", n+1)
		}
		return true, page, nil
	})
	b := &Barrier{metadata: client}
	b.revisions = map[string]string{volumeResource().Resource: at}
	return b, client
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
				b, client := newTestBarrier("10", "12", c.listed...)
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
				if n := len(client.Actions()); n != c.lists {
					t.Errorf("%d lists, want %d", n, c.lists)
				}
			})
		})
	}
}

func TestBarrierEndsWithItsContext(t *testing.T) {
	b, _ := newTestBarrier("10", "12", revised("a", "9"))
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
