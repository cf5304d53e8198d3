package kube

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// batchesOf returns all batches by their names.
func batchesOf(t *testing.T, s *Batches) (map[string]map[string][]byte, error) {
	t.Helper()
	all := map[string]map[string][]byte{}
	err := s.Each(t.Context(), func(b Batch) { all[b.Name] = b.Content })
	return all, err
}

func TestBatches(t *testing.T) {
	others := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: "ns", Labels: map[string]string{names.JournalLabel: "other.example"}}}
	elsewhere := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "one", Namespace: "elsewhere", Labels: map[string]string{names.JournalLabel: "driver.example"}}}
	client := fake.NewClientset(others, elsewhere)
	s := NewBatches(client, "ns", "driver.example", "")
	have := func(want map[string]map[string][]byte) {
		t.Helper()
		got, err := batchesOf(t, s)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("Each: %v (-want +got):\n%s", err, diff)
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	have(map[string]map[string][]byte{})
	content := map[string][]byte{"a": {1}, "b": {2}, "c": {3}}
	do(s.Create(t.Context(), "one", content))
	do(s.Create(t.Context(), "one", content)) // An answer was lost.
	do(s.Create(t.Context(), "two", map[string][]byte{"d": {4}}))
	do(s.Drop(t.Context(), "one", []string{"a", "c", "x"}))
	do(s.Drop(t.Context(), "three", []string{"a"}))
	have(map[string]map[string][]byte{"one": {"b": {2}}, "two": {"d": {4}}})
	do(s.Delete(t.Context(), "one"))
	do(s.Delete(t.Context(), "one"))
	have(map[string]map[string][]byte{"two": {"d": {4}}})
}

func TestBatchesErrorsNameTheConfigMap(t *testing.T) {
	client := fake.NewClientset()
	down := errors.New("no leader")
	failing(client, "*", "configmaps", down)
	s := NewBatches(client, "ns", "driver.example", "")
	list := s.Each(t.Context(), func(Batch) {})
	for name, err := range map[string]error{
		"storing ConfigMap ns/one":            s.Create(t.Context(), "one", nil),
		"dropping keys of ConfigMap ns/one":   s.Drop(t.Context(), "one", nil),
		"deleting ConfigMap ns/one":           s.Delete(t.Context(), "one"),
		"listing the ConfigMaps of namespace": list,
	} {
		if !errors.Is(err, down) || !strings.Contains(err.Error(), name) {
			t.Errorf("the error is %v, want one with %q", err, name)
		}
	}
}

func TestBatchesArePaged(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("list", "configmaps", func(action clienttesting.Action) (bool, runtime.Object, error) {
		options := action.(clienttesting.ListActionImpl).ListOptions
		if options.Limit == 0 || options.LabelSelector != "csi-provisioner/journal=driver.example,!csi-provisioner/journal-node" {
			t.Errorf("the options are %+v", options)
		}
		page := &corev1.ConfigMapList{Items: []corev1.ConfigMap{{ObjectMeta: metav1.ObjectMeta{Name: "page-" + options.Continue, Labels: map[string]string{names.JournalLabel: "driver.example"}}}}}
		if options.Continue == "" {
			page.Continue = "2"
		}
		return true, page, nil
	})
	got, err := batchesOf(t, NewBatches(client, "ns", "driver.example", ""))
	if found := slices.Sorted(maps.Keys(got)); err != nil || !slices.Equal(found, []string{"page-", "page-2"}) {
		t.Errorf("Each: %q, %v", found, err)
	}
}

func TestBatchesAccess(t *testing.T) {
	for name, c := range map[string]struct {
		denied []string
		err    error
		want   []string
	}{
		"all":         {},
		"two missing": {denied: []string{"create", "delete"}, want: []string{"may not create, delete those of namespace \"ns\"", "- apiGroups: [\"\"]\n  resources: [configmaps]\n  verbs: [list, create, patch, delete]"}},
		"not known":   {err: apierrors.NewInternalError(errors.New("etcd")), want: []string{"etcd"}},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			client.PrependReactor("create", "selfsubjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
				review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview)
				about := review.Spec.ResourceAttributes
				review.Status.Allowed = about.Namespace == "ns" && about.Resource == "configmaps" && !slices.Contains(c.denied, about.Verb)
				return true, review, c.err
			})
			err := NewBatches(client, "ns", "driver.example", "").Access(t.Context())
			if (err == nil) != (c.want == nil) || errors.Is(err, ErrNoAccess) != (c.denied != nil) {
				t.Errorf("Access: %v", err)
			}
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("Access: %v, want %q in it", err, want)
				}
			}
		})
	}
}

// TestBatchesOfNodes: each node has its own, and so has who works for all of them;
// the audit reads all.
func TestBatchesOfNodes(t *testing.T) {
	long := strings.Repeat("n", 80)
	client := fake.NewClientset()
	stores := map[string]*Batches{}
	for _, node := range []string{"", "n1", "n2", long, long + "2"} {
		stores[node] = NewBatches(client, "ns", "driver.example", node)
		if err := stores[node].Create(t.Context(), "of-"+node, nil); err != nil {
			t.Fatal(err)
		}
	}
	for node, store := range stores {
		got, err := batchesOf(t, store)
		if diff := cmp.Diff([]string{"of-" + node}, slices.Collect(maps.Keys(got))); err != nil || diff != "" {
			t.Errorf("node %q: Each: %v (-want +got):\n%s", node, err, diff)
		}
	}
	of := map[string]string{}
	err := NewAllBatches(client, "ns", "driver.example").Each(t.Context(), func(b Batch) { of[b.Name] = b.Node })
	if err != nil || len(of) != len(stores) {
		t.Errorf("all: Each: %v, %v", of, err)
	}
	for node := range stores {
		if got := of["of-"+node]; got != NodeLabel(node) {
			t.Errorf("node %q: the batch is of %q", node, got)
		}
	}
}
