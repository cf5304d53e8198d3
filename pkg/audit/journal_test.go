package audit_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/audit"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// shelf is a store in memory that may only be added to.
type shelf struct {
	mu      sync.Mutex
	batches map[string]map[string][]byte
	err     error
}

var errChanged = errors.New("the store was changed")

func (s *shelf) Create(_ context.Context, name string, content map[string][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches[name] = content
	return nil
}

func (s *shelf) List(context.Context) (map[string]map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.batches, s.err
}

func (*shelf) Drop(context.Context, string, []string) error { return errChanged }
func (*shelf) Delete(context.Context, string) error         { return errChanged }

// record has the sidecar's journal write that volumes of these names may exist,
// which are made for one claim.
func (s *shelf) record(t *testing.T, names ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	j := journal.New(journal.Options{
		Store: s, Access: func(context.Context) error { return nil }, Prefix: "sidecar-",
		Clock: clock.RealClock{}, Metrics: metrics.New().Journal, Judge: journal.Trust, Report: func(context.Context, error) {},
	})
	var running sync.WaitGroup
	running.Go(func() { j.Run(ctx) })
	defer running.Wait()
	defer cancel()
	intent := &journal.Intent{Claim: kube.ClaimKey{Namespace: "ns", Name: names[0], UID: claim(names[0]).UID}}
	for _, name := range names {
		intent.Plans = append(intent.Plans, &provision.Plan{
			Request: &csipb.CreateVolumeRequest{
				Name: name,
				AccessibilityRequirements: &csipb.TopologyRequirement{
					Requisite: []*csipb.Topology{{Segments: map[string]string{"zone": "a"}}},
				},
			},
			Volume: &corev1.PersistentVolume{},
		})
	}
	if err := j.Begin(ctx, intent); err != nil {
		t.Fatal(err)
	}
}

// TestJournalIsRead: what the sidecar writes, with a claim for which there was a
// second request, one whose name had changed by then, and a record that can't be
// read.
func TestJournalIsRead(t *testing.T) {
	s := &shelf{batches: map[string]map[string][]byte{}}
	s.record(t, "a", "a", "renamed")
	s.batches["torn"] = map[string][]byte{"uid-torn": []byte("no gzip"), "topology": nil}
	reader := audit.NewJournal(s)
	for range 2 { // reading once more gives the same
		got, err := reader.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, func(a, b audit.Intent) int { return cmp.Compare(a.VolumeName, b.VolumeName) })
		want := []audit.Intent{
			{Claim: audit.Claim{UID: "uid-torn"}},
			{VolumeName: "a", Claim: *claim("a")},
			{VolumeName: "renamed", Claim: *claim("a")},
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("intents (-want +got):\n%s", diff)
		}
	}
	s.err = errors.New("no API server")
	if _, err := reader.List(t.Context()); !errors.Is(err, s.err) {
		t.Errorf("the error is %v", err)
	}
}
