package kube

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

const (
	// secretLifetime is how long a Secret that was read serves further reads: it
	// makes one read of those of a burst, and is too short for anybody to notice
	// after changing the Secret.
	secretLifetime = 2 * time.Second
	// secretTimeout bounds one read.
	secretTimeout = 10 * time.Second
	// secretSweep is the number of remembered Secrets above which old ones are
	// dropped.
	secretSweep = 100
)

// Secrets reads Secrets. They are read by name, never listed or watched.
type Secrets struct {
	client kubernetes.Interface
	clock  clock.PassiveClock

	mu      sync.Mutex
	entries map[secrets.Ref]*secretEntry
}

type secretEntry struct {
	mu          sync.Mutex
	credentials secrets.Credentials
	until       time.Time
}

// NewSecrets returns a reader.
func NewSecrets(client kubernetes.Interface, c clock.PassiveClock) *Secrets {
	return &Secrets{client: client, clock: c, entries: map[secrets.Ref]*secretEntry{}}
}

// Get returns the content of a Secret, as it was at most two seconds ago. Reads
// of one Secret at the same time share a request. A failure is not remembered.
func (s *Secrets) Get(ctx context.Context, ref secrets.Ref) (secrets.Credentials, error) {
	entry := s.entry(ref)
	entry.mu.Lock()
	defer entry.mu.Unlock()
	if s.clock.Now().Before(entry.until) {
		return entry.credentials, nil
	}
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	secret, err := s.client.CoreV1().Secrets(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if err != nil {
		return secrets.Credentials{}, secretError(ref, err)
	}
	entry.credentials = secrets.NewCredentials(secret.Data)
	entry.until = s.clock.Now().Add(secretLifetime)
	return entry.credentials, nil
}

// Forget drops what is remembered of a Secret, for when it turned out to be of
// no use.
func (s *Secrets) Forget(ref secrets.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, ref)
}

func (s *Secrets) entry(ref secrets.Ref) *secretEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if entry, ok := s.entries[ref]; ok {
		return entry
	}
	if len(s.entries) >= secretSweep {
		clear(s.entries)
	}
	entry := &secretEntry{}
	s.entries[ref] = entry
	return entry
}

func secretError(ref secrets.Ref, err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("reading Secret %q: it does not exist: create it, or correct the class's parameters: %w", ref, err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("reading Secret %q: the service account may not: grant it the verb get for secrets in namespace %q: %w", ref, ref.Namespace, err)
	}
	return fmt.Errorf("reading Secret %q: %w", ref, err)
}
