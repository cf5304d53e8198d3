package kube

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// oneOfMany returns the volume of a claim, as it comes from the API server: nothing of it is
// shared with another.
func oneOfMany(n int, class, size string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        fmt.Sprintf("pvc-%d", n),
			Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": "driver.example"},
			Finalizers:  []string{"kubernetes.io/pv-protection"},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:         corev1.ResourceList{corev1.ResourceStorage: apiresource.MustParse(size)},
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: class,
			ClaimRef:         &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Name: fmt.Sprintf("claim-%d", n)},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				Driver: "driver.example", VolumeHandle: fmt.Sprintf("handle-%d", n), VolumeAttributes: map[string]string{"class": class},
			}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{class}}},
			}}}},
		},
	}
}

func unchanged(object any) (any, error) { return object, nil }

func TestSharing(t *testing.T) {
	t.Parallel()
	share := newSharing().after(unchanged)
	pass := func(n int, class, size string) *corev1.PersistentVolume {
		t.Helper()
		object, err := share(oneOfMany(n, class, size))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(oneOfMany(n, class, size), object); diff != "" {
			t.Errorf("sharing has changed a volume (-want +got):\n%s", diff)
		}
		return object.(*corev1.PersistentVolume)
	}
	at := func(part any) uintptr { return reflect.ValueOf(part).Pointer() }

	first, second, other := pass(1, "fast", "1Gi"), pass(2, "fast", "1Gi"), pass(3, "slow", "1024Mi")
	for name, part := range map[string]func(*corev1.PersistentVolume) any{
		"annotations":   func(v *corev1.PersistentVolume) any { return v.Annotations },
		"finalizers":    func(v *corev1.PersistentVolume) any { return v.Finalizers },
		"capacity":      func(v *corev1.PersistentVolume) any { return v.Spec.Capacity },
		"access modes":  func(v *corev1.PersistentVolume) any { return v.Spec.AccessModes },
		"attributes":    func(v *corev1.PersistentVolume) any { return v.Spec.CSI.VolumeAttributes },
		"node affinity": func(v *corev1.PersistentVolume) any { return v.Spec.NodeAffinity },
	} {
		if at(part(first)) != at(part(second)) {
			t.Errorf("%s: each of two equal ones is in memory", name)
		}
	}
	if at(first.Spec.CSI.VolumeAttributes) == at(other.Spec.CSI.VolumeAttributes) {
		t.Error("different attributes are shared")
	}
	// The same size in another format is written in another way.
	if decimal := pass(4, "fast", "1073741824"); at(decimal.Spec.Capacity) == at(first.Spec.Capacity) {
		t.Error("capacities of different formats are shared")
	}
}

func TestSharingOfClaims(t *testing.T) {
	t.Parallel()
	share := newSharing().after(unchanged)
	newClaim := func(annotations map[string]string) *corev1.PersistentVolumeClaim {
		class := "fast"
		return &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Annotations: annotations},
			Spec:       corev1.PersistentVolumeClaimSpec{StorageClassName: &class},
		}
	}
	var claims []*corev1.PersistentVolumeClaim
	for range 2 {
		object, err := share(newClaim(map[string]string{"pv.kubernetes.io/bind-completed": "yes"}))
		if err != nil {
			t.Fatal(err)
		}
		claims = append(claims, object.(*corev1.PersistentVolumeClaim))
	}
	if reflect.ValueOf(claims[0].Annotations).Pointer() != reflect.ValueOf(claims[1].Annotations).Pointer() {
		t.Error("annotations: each of two equal ones is in memory")
	}
}

// TestRecent: only so many values are remembered, and a value that comes again is found.
func TestRecent(t *testing.T) {
	t.Parallel()
	compared := 0
	r := recent[string]{equal: func(a, b string) bool { compared++; return a == b }}
	for n := range 10 * recentValues {
		value := fmt.Sprint(n)
		r.share(&value)
	}
	if len(r.values) != recentValues {
		t.Errorf("%d values are remembered, want %d", len(r.values), recentValues)
	}
	compared = 0
	last := fmt.Sprint(10*recentValues - 1)
	if r.share(&last); compared > recentValues {
		t.Errorf("%d comparisons, want %d at most", compared, recentValues)
	}
}
