package kube

import (
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/tools/cache"
)

// Most volumes of a class are alike but for their names. sharing is an informer transform
// that has cached objects refer to the parts of those before them, where the parts are
// equal, so that each part is in memory once. That is safe, as nobody may change what is in
// a cache.
type sharing struct {
	mu         sync.Mutex
	strings    recent[string]
	texts      recent[map[string]string]
	resources  recent[corev1.ResourceList]
	lists      recent[[]string]
	modes      recent[[]corev1.PersistentVolumeAccessMode]
	affinities recent[*corev1.VolumeNodeAffinity]
}

func newSharing() *sharing {
	return &sharing{
		strings:    recent[string]{equal: func(a, b string) bool { return a == b }},
		texts:      recent[map[string]string]{equal: maps.Equal[map[string]string, map[string]string]},
		resources:  recent[corev1.ResourceList]{equal: equalResources},
		lists:      recent[[]string]{equal: slices.Equal[[]string]},
		modes:      recent[[]corev1.PersistentVolumeAccessMode]{equal: slices.Equal[[]corev1.PersistentVolumeAccessMode]},
		affinities: recent[*corev1.VolumeNodeAffinity]{equal: func(a, b *corev1.VolumeNodeAffinity) bool { return equality.Semantic.DeepEqual(a, b) }},
	}
}

// equalResources compares what is written, not only what it amounts to: the API server
// compares that, too.
func equalResources(a, b corev1.ResourceList) bool {
	for name, quantity := range a {
		other, ok := b[name]
		if !ok || quantity.Format != other.Format || quantity.Cmp(other) != 0 {
			return false
		}
	}
	return len(a) == len(b)
}

// after returns a transform that does another one, and then this.
func (s *sharing) after(first cache.TransformFunc) cache.TransformFunc {
	return both(first, func(object any) (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch object := object.(type) {
		case *corev1.PersistentVolumeClaim:
			s.claim(object)
		case *corev1.PersistentVolume:
			s.volume(object)
		}
		return object, nil
	})
}

func (s *sharing) claim(claim *corev1.PersistentVolumeClaim) {
	s.strings.share(&claim.Namespace)
	s.texts.share(&claim.Annotations)
	s.texts.share(&claim.Labels)
	s.lists.share(&claim.Finalizers)
	s.modes.share(&claim.Spec.AccessModes)
	s.modes.share(&claim.Status.AccessModes)
	s.resources.share(&claim.Spec.Resources.Requests)
	s.resources.share(&claim.Status.Capacity)
	if class := claim.Spec.StorageClassName; class != nil {
		s.strings.share(class)
	}
}

func (s *sharing) volume(volume *corev1.PersistentVolume) {
	s.texts.share(&volume.Annotations)
	s.texts.share(&volume.Labels)
	s.lists.share(&volume.Finalizers)
	s.modes.share(&volume.Spec.AccessModes)
	s.resources.share(&volume.Spec.Capacity)
	s.affinities.share(&volume.Spec.NodeAffinity)
	s.strings.share(&volume.Spec.StorageClassName)
	if ref := volume.Spec.ClaimRef; ref != nil {
		for _, text := range []*string{&ref.Kind, &ref.Namespace, &ref.APIVersion} {
			s.strings.share(text)
		}
	}
	if source := volume.Spec.CSI; source != nil {
		s.strings.share(&source.Driver)
		s.strings.share(&source.FSType)
		s.texts.share(&source.VolumeAttributes)
	}
}

// recentValues is how many different values are remembered of each type: those of the
// classes and namespaces that are in use at one time.
const recentValues = 32

// recent remembers the last different values of a type.
type recent[T any] struct {
	values []T
	next   int
	equal  func(a, b T) bool
}

// share replaces a value by an equal one from before, and else remembers it.
func (r *recent[T]) share(value *T) {
	for _, known := range r.values {
		if r.equal(known, *value) {
			*value = known
			return
		}
	}
	if len(r.values) < recentValues {
		r.values = append(r.values, *value)
		return
	}
	r.values[r.next] = *value
	r.next = (r.next + 1) % recentValues
}
