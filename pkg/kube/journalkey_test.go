package kube

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

func TestJournalKeyIsMadeOnce(t *testing.T) {
	client := fake.NewClientset()
	first, err := NewJournalKey(client, "ns", 32).Get(t.Context())
	if err != nil || len(first) != 32 || bytes.Equal(first, make([]byte, 32)) {
		t.Fatalf("the first gets %d bytes, %v", len(first), err)
	}
	second, err := NewJournalKey(client, "ns", 32).Get(t.Context())
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("the second gets another key, %v", err)
	}
	secret, err := client.CoreV1().Secrets("ns").Get(t.Context(), names.JournalKey, metav1.GetOptions{})
	if err != nil || secret.Labels[names.VeleroExclude] != "true" {
		t.Errorf("the Secret is %v, %v", secret, err)
	}
}

func TestJournalKeyThatAnotherMakes(t *testing.T) {
	client := fake.NewClientset()
	theirs := bytes.Repeat([]byte{7}, 32)
	client.PrependReactor("create", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		err := client.Tracker().Add(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: names.JournalKey}, Data: map[string][]byte{"key": theirs}})
		if err != nil {
			t.Fatal(err)
		}
		return true, nil, apierrors.NewAlreadyExists(schema.GroupResource{Resource: "secrets"}, names.JournalKey)
	})
	if key, err := NewJournalKey(client, "ns", 32).Get(t.Context()); err != nil || !bytes.Equal(key, theirs) {
		t.Errorf("got %v, %v", key, err)
	}
}

func TestJournalKeyErrors(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, names.JournalKey, errors.New("no"))
	for _, verb := range []string{"get", "create"} {
		client := fake.NewClientset()
		client.PrependReactor(verb, "secrets", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, forbidden })
		_, err := NewJournalKey(client, "ns", 32).Get(t.Context())
		if !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), "resourceNames: ["+names.JournalKey+"]") {
			t.Errorf("%s is forbidden: %v", verb, err)
		}
	}
	short := fake.NewClientset(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: names.JournalKey}, Data: map[string][]byte{"key": []byte("t0p-Secret")}})
	_, err := NewJournalKey(short, "ns", 32).Get(t.Context())
	if err == nil || !strings.Contains(err.Error(), "has 10 bytes instead of 32: delete the Secret") || strings.Contains(err.Error(), "t0p") {
		t.Errorf("a key that is too short: %v", err)
	}
}

func TestClusterUID(t *testing.T) {
	client := fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "u-1"}})
	if uid, err := ClusterUID(t.Context(), client); uid != "u-1" || err != nil {
		t.Errorf("%q, %v", uid, err)
	}
	for name, c := range map[string]struct {
		err  error
		fine bool
	}{
		"no right":  {apierrors.NewForbidden(schema.GroupResource{Resource: "namespaces"}, "kube-system", errors.New("no")), true},
		"no answer": {errors.New("timeout"), false},
	} {
		client := fake.NewClientset()
		client.PrependReactor("get", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, c.err })
		if uid, err := ClusterUID(t.Context(), client); uid != "" || (err == nil) != c.fine {
			t.Errorf("%s: %q, %v", name, uid, err)
		}
	}
}
