package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// Batches keeps the journal's batches as ConfigMaps of one namespace that have
// the label of one driver.
type Batches struct {
	client    kubernetes.Interface
	namespace string
	// labels are those of what is written.
	labels labels.Set
	// selector selects those that are read.
	selector string
}

// NewBatches returns the port for the batches of a driver that works for all
// nodes, or, in node deployment, of the driver of one node.
func NewBatches(client kubernetes.Interface, namespace, driver, node string) *Batches {
	mine := labels.Set{names.JournalLabel: driver}
	selector := mine.String() + ",!" + names.JournalNodeLabel
	if node != "" {
		mine[names.JournalNodeLabel] = NodeLabel(node)
		selector = mine.String()
	}
	// A record of yesterday, restored today, is of no use: see docs/adr/0008-records.md.
	stored := labels.Merge(mine, labels.Set{names.VeleroExclude: "true"})
	return &Batches{client: client, namespace: namespace, labels: stored, selector: selector}
}

// NewAllBatches returns the port for the batches of all nodes, to read only.
func NewAllBatches(client kubernetes.Interface, namespace, driver string) *Batches {
	mine := labels.Set{names.JournalLabel: driver}
	return &Batches{client: client, namespace: namespace, selector: mine.String()}
}

// NodeLabel returns a label's value that stands for a node. Names of nodes may be
// too long for one.
func NodeLabel(node string) string {
	if len(node) <= validation.LabelValueMaxLength {
		return node
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(node)) // never fails
	return fmt.Sprintf("node-%016x", hash.Sum64())
}

// Create stores a batch. The name is that of one batch only, so that one
// that exists already is this one: an earlier try of the same request has made it.
func (s *Batches) Create(ctx context.Context, name string, content map[string][]byte) error {
	_, err := s.client.CoreV1().ConfigMaps(s.namespace).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.namespace, Labels: s.labels},
		BinaryData: content,
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("storing ConfigMap %s/%s: %w", s.namespace, name, err)
	}
	return nil
}

// Drop removes keys of a batch. That it has none of them, or has gone, is no
// error.
func (s *Batches) Drop(ctx context.Context, name string, keys []string) error {
	dropped := map[string]any{}
	for _, key := range keys {
		dropped[key] = nil
	}
	patch, err := json.Marshal(map[string]any{"binaryData": dropped})
	if err != nil {
		return fmt.Errorf("writing the patch of ConfigMap %s/%s: %w", s.namespace, name, err)
	}
	_, err = s.client.CoreV1().ConfigMaps(s.namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("dropping keys of ConfigMap %s/%s: %w", s.namespace, name, err)
	}
	return nil
}

// Delete removes a batch. That it has gone is no error.
func (s *Batches) Delete(ctx context.Context, name string) error {
	err := s.client.CoreV1().ConfigMaps(s.namespace).Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting ConfigMap %s/%s: %w", s.namespace, name, err)
	}
	return nil
}

// Batch is one as it is stored.
type Batch struct {
	Name string
	// Node is the one whose process has written it, as in the label
	// names.JournalNodeLabel, in which names that are too long are replaced by a hash;
	// empty for a process that works for all nodes.
	Node    string
	Content map[string][]byte
}

// pageOfBatches is the number of batches in one answer. The API server takes up to 1 MiB
// in a ConfigMap, whoever writes it, and a page is in memory twice.
const pageOfBatches = 4

// pageTimeout bounds the request for a page.
const pageTimeout = 10 * time.Second

// Each calls see for each batch of the driver. Not all of them are in memory at a time.
func (s *Batches) Each(ctx context.Context, see func(Batch)) error {
	options := metav1.ListOptions{LabelSelector: s.selector, Limit: pageOfBatches}
	for {
		page, err := s.page(ctx, options)
		if err != nil {
			return fmt.Errorf("listing the ConfigMaps of namespace %s with label %s: %w", s.namespace, options.LabelSelector, err)
		}
		for i := range page.Items {
			found := &page.Items[i]
			see(Batch{Name: found.Name, Node: found.Labels[names.JournalNodeLabel], Content: found.BinaryData})
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return nil
		}
	}
}

func (s *Batches) page(ctx context.Context, options metav1.ListOptions) (*corev1.ConfigMapList, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	return s.client.CoreV1().ConfigMaps(s.namespace).List(ctx, options)
}

// ErrNoAccess is wrapped by the error of [Batches.Access] when a right is
// missing.
var ErrNoAccess = errors.New("rights to ConfigMaps are missing")

// batchVerbs are what the journal does with ConfigMaps.
func batchVerbs() []string { return []string{"list", "create", "patch", "delete"} }

// Access asks the API server whether this process may do with the namespace's
// ConfigMaps what it has to. The error wraps [ErrNoAccess] and prints the
// missing role when it may not.
func (s *Batches) Access(ctx context.Context) error {
	var missing []string
	for _, verb := range batchVerbs() {
		review, err := s.client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: s.namespace, Verb: verb, Resource: "configmaps",
			}},
		}, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("asking for the rights to the ConfigMaps of namespace %s: %w", s.namespace, err)
		}
		if !review.Status.Allowed {
			missing = append(missing, verb)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: the service account may not %s those of namespace %q: add this rule to its Role there:\n%s",
			ErrNoAccess, strings.Join(missing, ", "), s.namespace, batchRule())
	}
	return nil
}

func batchRule() string {
	return "- apiGroups: [\"\"]\n  resources: [configmaps]\n  verbs: [" + strings.Join(batchVerbs(), ", ") + "]"
}
