package kube

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	"k8s.io/client-go/tools/cache"
)

// carrier is a PersistentVolume of a driver's volume.
func carrier(name, driver, handle string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolume"},
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: "1"},
		Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{
			CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: handle},
		}},
	}
}

// newTestHandles returns the port for a cache and an API server.
func newTestHandles(t *testing.T, cached, stored []*corev1.PersistentVolume) *Handles {
	t.Helper()
	inTree := NewInTree(driverName)
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{byHandle: handleIndex(driverName, inTree)})
	for _, volume := range cached {
		if err := indexer.Add(volume); err != nil {
			t.Fatal(err)
		}
	}
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var objects, names []runtime.Object
	for _, volume := range stored {
		objects = append(objects, volume)
		names = append(names, &metav1.PartialObjectMetadata{TypeMeta: volume.TypeMeta, ObjectMeta: volume.ObjectMeta})
	}
	h := &Handles{
		volumes: indexer, client: fake.NewClientset(objects...), metadata: metadatafake.NewSimpleMetadataClient(scheme, names...),
		driver: driverName, inTree: inTree,
	}
	h.lists.get = h.uncached
	return h
}

func TestHolder(t *testing.T) {
	seen, unseen := carrier("seen", driverName, "h-1"), carrier("unseen", driverName, "h-2")
	renewed := carrier("renewed", driverName, "h-3")
	renewed.UID = "another"
	foreign := carrier("foreign", "other.example", "h-4")
	h := newTestHandles(t,
		[]*corev1.PersistentVolume{seen, carrier("renewed", driverName, "h-0")},
		[]*corev1.PersistentVolume{seen, unseen, renewed, foreign})
	for handle, want := range map[string]struct{ cached, now string }{
		"h-1": {"seen", "seen"},
		"h-2": {"", "unseen"},
		"h-3": {"", "renewed"},
		"h-4": {"", ""},
		"h-5": {"", ""},
	} {
		if got, err := h.Holder(handle, ""); got != want.cached || err != nil {
			t.Errorf("cached holder of %s: %q, %v; want %q", handle, got, err, want.cached)
		}
		if got, err := h.HolderNow(t.Context(), handle, ""); got != want.now || err != nil {
			t.Errorf("holder of %s: %q, %v; want %q", handle, got, err, want.now)
		}
		if got, err := h.HolderNow(t.Context(), handle, want.now); got != "" || err != nil {
			t.Errorf("holder of %s but for %q: %q, %v", handle, want.now, got, err)
		}
	}
}

func TestHolders(t *testing.T) {
	a, b := carrier("a", driverName, "h-1"), carrier("b", driverName, "h-1")
	h := newTestHandles(t, []*corev1.PersistentVolume{a, b, carrier("c", driverName, "h-2")}, nil)
	for handle, want := range map[string]int{"h-1": 2, "h-2": 1, "h-3": 0} {
		if got, err := h.Holders(handle); len(got) != want || err != nil {
			t.Errorf("holders of %s: %v, %v; want %d", handle, got, err, want)
		}
	}
}

// Two that the cache does not show may carry the same volume.
func TestHolderBesideTheOwnVolume(t *testing.T) {
	h := newTestHandles(t, nil, []*corev1.PersistentVolume{carrier("a", driverName, "h-1"), carrier("b", driverName, "h-1")})
	for except, want := range map[string]string{"a": "b", "b": "a"} {
		if got, err := h.HolderNow(t.Context(), "h-1", except); got != want || err != nil {
			t.Errorf("holder but for %s: %q, %v; want %s", except, got, err, want)
		}
	}
}

func TestHolderOfInTreeVolume(t *testing.T) {
	inTree := NewInTree("ebs.csi.aws.com")
	volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "old"}, Spec: corev1.PersistentVolumeSpec{
		PersistentVolumeSource: corev1.PersistentVolumeSource{
			AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "vol-02399794d890f9375"},
		},
	}}
	handles, err := handleIndex("ebs.csi.aws.com", inTree)(volume)
	if err != nil || len(handles) != 1 || handles[0] != "vol-02399794d890f9375" {
		t.Errorf("the index has %q, %v", handles, err)
	}
}

// Who asks while a read is under way gets the next one, and all of them the same.
func TestSharedReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		goOn := make(chan struct{})
		s := shared[int]{get: func(context.Context) (int, error) {
			reads++
			now := reads
			<-goOn
			return now, nil
		}}
		results := make(chan int, 3)
		ask := func() {
			value, err := s.next(t.Context())
			if err != nil {
				t.Error(err)
			}
			results <- value
		}
		go ask()
		synctest.Wait()
		go ask()
		go ask()
		synctest.Wait()
		goOn <- struct{}{}
		if got := <-results; got != 1 {
			t.Errorf("the first gets read %d", got)
		}
		goOn <- struct{}{}
		if a, b := <-results, <-results; a != 2 || b != 2 {
			t.Errorf("the others get reads %d and %d", a, b)
		}
		synctest.Wait()
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		if _, err := s.next(ctx); !errors.Is(err, cause) || !strings.Contains(err.Error(), "waiting for the list") {
			t.Errorf("who gives up gets %v", err)
		}
		close(goOn)
	})
}
