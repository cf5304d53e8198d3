package kube

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// stored is what the API server answers to every patch.
const stored = "stored"

// patching is an API server that notes the patches that it gets.
type patching struct {
	*fake.Clientset
	patches []clienttesting.PatchAction
}

func newPatching() *patching {
	p := &patching{Clientset: fake.NewClientset()}
	p.PrependReactor("*", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		p.patches = append(p.patches, action.(clienttesting.PatchAction))
		meta := metav1.ObjectMeta{Name: stored}
		if action.GetResource().Resource == "persistentvolumes" {
			return true, &corev1.PersistentVolume{ObjectMeta: meta}, nil
		}
		return true, &corev1.PersistentVolumeClaim{ObjectMeta: meta}, nil
	})
	return p
}

// one returns the only patch, as what it holds.
func (p *patching) one(t *testing.T) map[string]any {
	t.Helper()
	if len(p.patches) != 1 {
		t.Fatalf("%d requests were sent, want 1", len(p.patches))
	}
	if kind := p.patches[0].GetPatchType(); kind != types.StrategicMergePatchType {
		t.Errorf("the patch is a %s", kind)
	}
	content := map[string]any{}
	if err := json.Unmarshal(p.patches[0].GetPatch(), &content); err != nil {
		t.Fatalf("the patch %s: %v", p.patches[0].GetPatch(), err)
	}
	return content
}

func condition(kind corev1.PersistentVolumeClaimConditionType, message string) corev1.PersistentVolumeClaimCondition {
	return corev1.PersistentVolumeClaimCondition{Type: kind, Status: corev1.ConditionTrue, Message: message}
}

func quantity(size string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceStorage: apiresource.MustParse(size)}
}

func expanding() *corev1.PersistentVolumeClaim {
	c := claim(metav1.ObjectMeta{
		Namespace: "ns", Name: "claim", UID: "uid", ResourceVersion: "7",
		Annotations: map[string]string{"kept": "1", "gone": "1"},
	})
	c.Status.Capacity = quantity("6Gi")
	c.Status.Conditions = []corev1.PersistentVolumeClaimCondition{condition("Other", ""), condition("Resizing", "")}
	c.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{corev1.ResourceStorage: "NodeResizePending"}
	return c
}

func TestPatchHoldsWhatDiffers(t *testing.T) {
	const identity = `"uid":"uid","resourceVersion":"7"`
	cases := map[string]struct {
		change func(*corev1.PersistentVolumeClaim)
		want   string
	}{
		"a size": {func(c *corev1.PersistentVolumeClaim) { c.Status.Capacity = quantity("7Gi") },
			`{"metadata":{` + identity + `},"status":{"capacity":{"storage":"7Gi"}}}`},
		"a first size": {func(c *corev1.PersistentVolumeClaim) { c.Status.AllocatedResources = quantity("7Gi") },
			`{"metadata":{` + identity + `},"status":{"allocatedResources":{"storage":"7Gi"}}}`},
		"an annotation less": {func(c *corev1.PersistentVolumeClaim) { delete(c.Annotations, "gone") },
			`{"metadata":{"annotations":{"gone":null},` + identity + `}}`},
		"an annotation more": {func(c *corev1.PersistentVolumeClaim) { c.Annotations["new"] = "2" },
			`{"metadata":{"annotations":{"new":"2"},` + identity + `}}`},
		"no state": {func(c *corev1.PersistentVolumeClaim) { c.Status.AllocatedResourceStatuses = nil },
			`{"metadata":{` + identity + `},"status":{"allocatedResourceStatuses":null}}`},
		"another state": {
			func(c *corev1.PersistentVolumeClaim) {
				c.Status.AllocatedResourceStatuses[corev1.ResourceStorage] = "NodeResizeInProgress"
			},
			`{"metadata":{` + identity + `},"status":{"allocatedResourceStatuses":{"storage":"NodeResizeInProgress"}}}`,
		},
		"another condition": {
			func(c *corev1.PersistentVolumeClaim) {
				c.Status.Conditions[1] = condition("FileSystemResizePending", "wait")
			},
			`{"metadata":{` + identity + `},"status":{
				"$setElementOrder/conditions":[{"type":"Other"},{"type":"FileSystemResizePending"}],
				"conditions":[
					{"type":"FileSystemResizePending","status":"True","message":"wait","lastProbeTime":null,"lastTransitionTime":null},
					{"$patch":"delete","type":"Resizing"}]}}`,
		},
		"one condition less": {
			func(c *corev1.PersistentVolumeClaim) { c.Status.Conditions = c.Status.Conditions[:1] },
			`{"metadata":{` + identity + `},"status":{
				"$setElementOrder/conditions":[{"type":"Other"}],
				"conditions":[{"$patch":"delete","type":"Resizing"}]}}`,
		},
		"a condition's message": {
			func(c *corev1.PersistentVolumeClaim) { c.Status.Conditions[1].Message = "again" },
			`{"metadata":{` + identity + `},"status":{
				"$setElementOrder/conditions":[{"type":"Other"},{"type":"Resizing"}],
				"conditions":[{"type":"Resizing","message":"again"}]}}`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			server, from := newPatching(), expanding()
			to := from.DeepCopy()
			c.change(to)
			got, err := NewClaims(server).Patch(t.Context(), from, to)
			if err != nil || got.Name != stored {
				t.Fatalf("Patch = %v, %v: want what the API server has then", got, err)
			}
			want := map[string]any{}
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, server.one(t)); diff != "" {
				t.Errorf("the patch (-want +got):\n%s", diff)
			}
			if action := server.patches[0]; action.GetSubresource() != "status" || action.GetNamespace() != "ns" || action.GetName() != "claim" {
				t.Errorf("the patch is for %s/%s, subresource %q", action.GetNamespace(), action.GetName(), action.GetSubresource())
			}
		})
	}
}

func TestPatchOfVolume(t *testing.T) {
	from := volume(metav1.ObjectMeta{Name: "pv", UID: "uid", ResourceVersion: "7"}, driverName)
	from.Spec.Capacity = quantity("6Gi")
	to := from.DeepCopy()
	to.Spec.Capacity = quantity("7Gi")
	to.Spec.CSI.ControllerExpandSecretRef = &corev1.SecretReference{Namespace: "ns", Name: "secret"}
	to.Annotations = map[string]string{"new": "1"}
	server := newPatching()
	got, err := NewVolumes(server, nil).Patch(t.Context(), from, to)
	if err != nil || got.Name != stored {
		t.Fatalf("Patch = %v, %v: want what the API server has then", got, err)
	}
	want := map[string]any{
		"metadata": map[string]any{"uid": "uid", "resourceVersion": "7", "annotations": map[string]any{"new": "1"}},
		"spec": map[string]any{
			"capacity": map[string]any{"storage": "7Gi"},
			"csi":      map[string]any{"controllerExpandSecretRef": map[string]any{"namespace": "ns", "name": "secret"}},
		},
	}
	if diff := cmp.Diff(want, server.one(t)); diff != "" {
		t.Errorf("the patch (-want +got):\n%s", diff)
	}
	if action := server.patches[0]; action.GetSubresource() != "" || action.GetName() != "pv" {
		t.Errorf("the patch is for %s, subresource %q", action.GetName(), action.GetSubresource())
	}
}

func TestPatchOfNothing(t *testing.T) {
	server := newPatching()
	from := expanding()
	to := from.DeepCopy()
	if got, err := NewClaims(server).Patch(t.Context(), from, to); err != nil || got != from {
		t.Errorf("Patch of a claim = %p, %v, want %p", got, err, from)
	}
	pv := volume(metav1.ObjectMeta{Name: "pv"}, driverName)
	if got, err := NewVolumes(server, nil).Patch(t.Context(), pv, pv.DeepCopy()); err != nil || got != pv {
		t.Errorf("Patch of a volume = %p, %v, want %p", got, err, pv)
	}
	if len(server.patches) != 0 {
		t.Errorf("%d requests were sent, though nothing differs", len(server.patches))
	}
}

func TestPatchFails(t *testing.T) {
	client := fake.NewClientset()
	failing(client, "patch", "persistentvolumeclaims", apierrors.NewConflict(resource("persistentvolumeclaims"), "claim", errors.New("changed")))
	failing(client, "patch", "persistentvolumes", apierrors.NewConflict(resource("persistentvolumes"), "pv", errors.New("changed")))
	from := expanding()
	to := from.DeepCopy()
	to.Status.Capacity = quantity("7Gi")
	if _, err := NewClaims(client).Patch(t.Context(), from, to); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), "writing the status of claim ns/claim") {
		t.Errorf("Patch of a claim: %v", err)
	}
	pv := volume(metav1.ObjectMeta{Name: "pv"}, driverName)
	expanded := pv.DeepCopy()
	expanded.Spec.Capacity = quantity("7Gi")
	if _, err := NewVolumes(client, nil).Patch(t.Context(), pv, expanded); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `writing PersistentVolume "pv"`) {
		t.Errorf("Patch of a volume: %v", err)
	}
}

// dice make random claims.
type dice struct{ *rand.Rand }

func (d dice) claim() *corev1.PersistentVolumeClaim {
	c := expanding()
	c.Annotations = nil
	for _, key := range d.some("a", "b", "c") {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, key, d.some("x", "y")[0])
	}
	c.Status.Capacity, c.Status.AllocatedResources = d.sizes(), d.sizes()
	c.Status.AllocatedResourceStatuses = nil
	for _, key := range d.some("storage", "example.com/iops")[1:] {
		if c.Status.AllocatedResourceStatuses == nil {
			c.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{}
		}
		c.Status.AllocatedResourceStatuses[corev1.ResourceName(key)] = corev1.ClaimResourceStatus(d.some("p", "q")[0])
	}
	c.Status.Conditions = nil
	for _, kind := range d.some("Resizing", "FileSystemResizePending", "ControllerResizeError", "NodeResizeError", "Other")[1:] {
		next := condition(corev1.PersistentVolumeClaimConditionType(kind), d.some("", "m", "n")[0])
		next.LastTransitionTime = metav1.Unix(int64(d.IntN(3)), 0)
		c.Status.Conditions = append(c.Status.Conditions, next)
	}
	return c
}

func (d dice) sizes() corev1.ResourceList {
	if d.IntN(3) == 0 {
		return nil
	}
	return quantity(d.some("6Gi", "7Gi", "6500Mi", "1")[0])
}

// some returns one or more of the words, in any order.
func (d dice) some(words ...string) []string {
	d.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	return words[:1+d.IntN(len(words))]
}

// Whatever a claim is and shall become: the API server arrives at it.
func TestPatchArrives(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	d := dice{rand.New(rand.NewPCG(seed, 1))}
	server := newPatching()
	for n := range 1000 {
		from, to := d.claim(), d.claim()
		server.patches = nil
		if _, err := NewClaims(server).Patch(t.Context(), from, to); err != nil {
			t.Fatal(err)
		}
		if equality.Semantic.DeepEqual(from, to) {
			continue
		}
		server.one(t)
		got := apply(t, from, server.patches[0].GetPatch())
		if diff := cmp.Diff(to, got); diff != "" {
			t.Fatalf("seed %d, claim %d: after the patch %s (-want +got):\n%s", seed, n, server.patches[0].GetPatch(), diff)
		}
	}
}

// apply does what the API server does with a patch.
func apply(t *testing.T, from *corev1.PersistentVolumeClaim, patch []byte) *corev1.PersistentVolumeClaim {
	t.Helper()
	before, err := json.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	after, err := strategicpatch.StrategicMergePatch(before, patch, corev1.PersistentVolumeClaim{})
	if err != nil {
		t.Fatalf("applying %s: %v", patch, err)
	}
	result := &corev1.PersistentVolumeClaim{}
	if err := json.Unmarshal(after, result); err != nil {
		t.Fatal(err)
	}
	return result
}
