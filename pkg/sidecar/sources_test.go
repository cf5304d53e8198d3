package sidecar

import (
	"context"
	"errors"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

// shelf holds the segments of all nodes.
type shelf struct {
	segments map[string]map[string][]byte
	err      error
}

func (s *shelf) Create(_ context.Context, name string, content map[string][]byte) error {
	s.segments[name] = content
	return nil
}
func (s *shelf) Drop(context.Context, string, []string) error { return nil }
func (s *shelf) Delete(context.Context, string) error         { return nil }
func (s *shelf) List(context.Context) (map[string]map[string][]byte, error) {
	return s.segments, s.err
}

// journalOn returns a running journal that writes to the shelf.
func journalOn(t *testing.T, s *shelf, prefix string) *journal.Journal {
	t.Helper()
	j := journal.New(journal.Options{
		Store: s, Access: func(context.Context) error { return nil }, Prefix: prefix,
		Clock: clock.RealClock{}, Metrics: metrics.New().Journal, Report: func(context.Context, error) {},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		j.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return j
}

// TestSourcesOfOtherNodes: what another node's process makes a volume from is found
// in its journal; what the own one does is known without.
func TestSourcesOfOtherNodes(t *testing.T) {
	daily := source.Key{Kind: source.KindSnapshot, Namespace: "ns", Name: "daily"}
	s := &shelf{segments: map[string]map[string][]byte{}}
	own, other := journalOn(t, s, "own-"), journalOn(t, s, "other-")
	intent := &journal.Intent{
		Claim: kube.ClaimKey{Namespace: "ns", Name: "c", UID: "1"},
		Plans: []*provision.Plan{{
			Request: &csipb.CreateVolumeRequest{Name: "pvc-1"},
			Volume:  &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pvc-1"}},
			Source:  &source.Object{Key: daily, UID: "snap-uid"},
		}},
	}
	if err := other.Begin(t.Context(), intent); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		users users
		key   source.Key
		want  bool
	}{
		"of another node":          {users{journal: own, all: s}, daily, true},
		"of the own one":           {users{journal: other, all: s}, daily, false},
		"another source":           {users{journal: own, all: s}, source.Key{Kind: source.KindClaim, Namespace: "ns", Name: "daily"}, false},
		"outside of such a set-up": {users{journal: own}, daily, false},
	} {
		if got, err := test.users.Elsewhere(t.Context(), test.key); err != nil || got != test.want {
			t.Errorf("%s: %t (%v)", name, got, err)
		}
	}
	s.err = errors.New("no leader")
	if _, err := (users{journal: own, all: s}).Elsewhere(t.Context(), daily); !errors.Is(err, s.err) {
		t.Errorf("the error is %v", err)
	}
	s.err = apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "", errors.New("no"))
	if got, err := (users{journal: own, all: s}).Elsewhere(t.Context(), daily); err != nil || got {
		t.Errorf("without the right to read journals: %t (%v)", got, err)
	}
	s.err, s.segments["broken"] = nil, map[string][]byte{"uid": nil}
	if _, err := (users{journal: own, all: s}).Elsewhere(t.Context(), source.Key{}); err == nil {
		t.Error("a record that can't be read says nothing")
	}
}
