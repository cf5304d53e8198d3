package kube

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// JournalKey is the Secret with the key by which the journal's records are signed. All
// sidecars of a namespace share it.
type JournalKey struct {
	client    kubernetes.Interface
	namespace string
	size      int
}

// NewJournalKey returns the port for a key of size bytes.
func NewJournalKey(client kubernetes.Interface, namespace string, size int) *JournalKey {
	return &JournalKey{client: client, namespace: namespace, size: size}
}

// ErrNoKey is wrapped by the error of [JournalKey.Get] when a right is missing.
var ErrNoKey = errors.New("rights to the journal's key are missing")

// keyOfSecret is where the Secret has the key.
const keyOfSecret = "key"

// Get returns the key, and makes one if there is none. The error wraps [ErrNoKey] and
// prints the missing rules if it may not.
func (k *JournalKey) Get(ctx context.Context) ([]byte, error) {
	key, err := k.read(ctx)
	if !apierrors.IsNotFound(err) {
		return key, k.explain(err)
	}
	key = make([]byte, k.size)
	_, _ = rand.Read(key) // never fails
	_, err = k.client.CoreV1().Secrets(k.namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: k.namespace, Name: names.JournalKey, Labels: map[string]string{names.VeleroExclude: "true"},
		},
		Data: map[string][]byte{keyOfSecret: key},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		// Another node's sidecar was faster.
		key, err = k.read(ctx)
	}
	return key, k.explain(err)
}

// Read returns the key; nil if there is none, or it may not be read.
func (k *JournalKey) Read(ctx context.Context) ([]byte, error) {
	key, err := k.read(ctx)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil, nil
	}
	return key, k.explain(err)
}

func (k *JournalKey) read(ctx context.Context) ([]byte, error) {
	secret, err := k.client.CoreV1().Secrets(k.namespace).Get(ctx, names.JournalKey, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	key := secret.Data[keyOfSecret]
	if len(key) != k.size {
		return nil, fmt.Errorf("field data.%s has %d bytes instead of %d: delete the Secret, and a new one is made", keyOfSecret, len(key), k.size)
	}
	return key, nil
}

func (k *JournalKey) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w: the service account may not create and get Secret %s/%s: add these rules to its Role there:\n%s", ErrNoKey, k.namespace, names.JournalKey, keyRules())
	}
	return fmt.Errorf("getting the journal's key from Secret %s/%s: %w", k.namespace, names.JournalKey, err)
}

func keyRules() string {
	return "- apiGroups: [\"\"]\n  resources: [secrets]\n  verbs: [create]\n- apiGroups: [\"\"]\n  resources: [secrets]\n  resourceNames: [" + names.JournalKey + "]\n  verbs: [get]"
}

// ClusterUID returns what tells this cluster from others: the UID of namespace kube-system.
// It is empty where it may not be read.
func ClusterUID(ctx context.Context, client kubernetes.Interface) (string, error) {
	namespace, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading namespace %s: %w", metav1.NamespaceSystem, err)
	}
	return string(namespace.UID), nil
}
