package audit_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/audit"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// shelf is a store in memory.
type shelf struct {
	mu      sync.Mutex
	batches map[string]map[string][]byte
	err     error
}

func newShelf() *shelf { return &shelf{batches: map[string]map[string][]byte{}} }

func (s *shelf) Create(_ context.Context, name string, content map[string][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches[name] = content
	return nil
}

func (s *shelf) Each(_ context.Context, see func(kube.Batch)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.batches)) {
		see(kube.Batch{Name: name, Content: s.batches[name]})
	}
	return s.err
}

func (s *shelf) Drop(_ context.Context, name string, keys []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		delete(s.batches[name], key)
	}
	return nil
}

func (*shelf) Delete(context.Context, string) error { return errors.New("a batch is deleted") }

// sidecar is who writes records.
type sidecar struct {
	of      journal.Installation
	key     []byte
	clock   clock.Clock
	removes string // the handle of a volume to be deleted
}

// record has the sidecar's journal write that volumes of these names may exist,
// which are made for one claim.
func (s *shelf) record(t *testing.T, by sidecar, names ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	j := journal.New(journal.Options{
		Store: s, Access: func(context.Context) error { return nil }, Prefix: "sidecar-" + names[0] + "-", Of: by.of,
		Clock: by.clock, Key: by.keyOrNone(), Metrics: metrics.New().Journal, Judge: journal.Trust, Report: func(context.Context, error) {},
	})
	if _, err := j.Recover(ctx); err != nil { // It reads the key.
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { j.Run(ctx) })
	defer running.Wait()
	defer cancel()
	intent := &journal.Intent{Useless: by.removes, Claim: kube.ClaimKey{Namespace: "ns", Name: names[0], UID: claim(names[0]).UID}}
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

func (b sidecar) keyOrNone() func(context.Context) ([]byte, error) {
	if b.key == nil {
		return nil
	}
	return func(context.Context) ([]byte, error) { return b.key, nil }
}

var (
	here   = journal.Installation{Cluster: "c-1", Driver: "d", Namespace: "storage"}
	ourKey = bytes.Repeat([]byte{1}, journal.KeySize)
	today  = time.Unix(1_800_000_000, 0)
)

// dated is the real clock, which tells another date.
type dated struct {
	clock.Clock
	now time.Time
}

func (d dated) Now() time.Time { return d.now }

func ours() sidecar { return sidecar{of: here, key: ourKey, clock: dated{clock.RealClock{}, today}} }

// auditor reads the journal where only the claims of these names exist.
func (s *shelf) auditor(exist ...string) *audit.Journal {
	return &audit.Journal{
		Batches: s, Signer: journal.NewSigner(ourKey), Own: here, MaxAge: time.Hour, Clock: clocktesting.NewFakePassiveClock(today),
		Exists: func(_ context.Context, key kube.ClaimKey) (bool, error) { return slices.Contains(exist, key.Name), nil },
	}
}

// TestJournalIsRead: what the sidecar writes, with a claim for which there was a
// second request, one whose name had changed by then, and a record that can't be
// read.
func TestJournalIsRead(t *testing.T) {
	s := newShelf()
	s.record(t, ours(), "a", "a", "renamed")
	s.batches["torn"] = map[string][]byte{"uid-torn": []byte("no gzip"), "topology": nil}
	reader := s.auditor()
	for range 2 { // reading once more gives the same
		got, err := reader.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got.Intents, func(a, b audit.Intent) int { return cmp.Compare(a.VolumeName, b.VolumeName) })
		want := []audit.Intent{
			{Claim: audit.Claim{UID: "uid-torn"}},
			{VolumeName: "a", Claim: *claim("a")},
			{VolumeName: "renamed", Claim: *claim("a")},
		}
		if diff := gocmp.Diff(want, got.Intents); diff != "" {
			t.Errorf("intents (-want +got):\n%s", diff)
		}
		if len(got.Kept) != 1 || got.Kept[0].State != audit.Unreadable || got.Kept[0].Key != "uid-torn" {
			t.Errorf("kept is %+v", got.Kept)
		}
	}
	s.err = errors.New("no API server")
	if _, err := reader.List(t.Context()); !errors.Is(err, s.err) {
		t.Errorf("the error is %v", err)
	}
}

// TestRecordsThatAreNotActedUpon: what the sidecar sets aside is told, and nobody's volume
// is in creation by it.
func TestRecordsThatAreNotActedUpon(t *testing.T) {
	old := dated{clock.RealClock{}, today.Add(-2 * time.Hour)}
	elsewhere := here
	elsewhere.Cluster = "c-2"
	for name, c := range map[string]struct {
		by     sidecar
		exist  []string
		state  audit.KeptState // empty for one that counts
		intent bool
	}{
		"ours":                          {ours(), nil, "", true},
		"old":                           {sidecar{of: here, key: ourKey, clock: old}, nil, audit.SetAside, false},
		"old, and its claim exists":     {sidecar{of: here, key: ourKey, clock: old}, []string{"a"}, "", true},
		"of another cluster":            {sidecar{of: elsewhere, key: ourKey, clock: clock.RealClock{}}, []string{"a"}, audit.SetAside, false},
		"not signed":                    {sidecar{clock: clock.RealClock{}}, nil, audit.SetAside, false},
		"not signed, with a claim":      {sidecar{clock: clock.RealClock{}}, []string{"a"}, audit.Unconfirmed, true},
		"signed by another key":         {sidecar{of: here, key: bytes.Repeat([]byte{2}, journal.KeySize), clock: old}, nil, audit.SetAside, false},
		"not signed, removes a volume":  {sidecar{clock: clock.RealClock{}, removes: "h-1"}, nil, audit.SetAside, false},
		"not signed, of another's name": {sidecar{clock: clock.RealClock{}}, []string{"another"}, audit.SetAside, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf()
			s.record(t, c.by, "a")
			got, err := s.auditor(c.exist...).List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if counts := len(got.Intents) == 1; counts != c.intent {
				t.Errorf("a volume may be in creation: %t, want %t", counts, c.intent)
			}
			switch {
			case c.state == "" && len(got.Kept) == 0:
			case len(got.Kept) != 1 || got.Kept[0].State != c.state || got.Kept[0].VolumeHandle != c.by.removes || got.Kept[0].VolumeName != "a" || *got.Kept[0].Claim != *claim("a"):
				t.Errorf("kept is %+v, want %q", got.Kept, c.state)
			}
		})
	}
}

// TestDecisions: a record that was set aside counts when it is confirmed, with all that it
// says, and is gone when it is discarded.
func TestDecisions(t *testing.T) {
	decide := func(t *testing.T, s *shelf, what func(journal.Decisions, context.Context, kube.Batch, string) error, key string) error {
		t.Helper()
		a := s.auditor()
		var batch kube.Batch
		_ = s.Each(t.Context(), func(b kube.Batch) { batch = b })
		return what(journal.Decisions{Store: s, Reader: a.Reader(), Of: here, Name: "confirmed", Now: today}, t.Context(), batch, key)
	}
	forged := sidecar{clock: clock.RealClock{}, removes: "h-1"}
	t.Run("confirm", func(t *testing.T) {
		s := newShelf()
		s.record(t, forged, "a", "a", "renamed")
		if err := decide(t, s, journal.Decisions.Confirm, "uid-a"); err != nil {
			t.Fatal(err)
		}
		got, err := s.auditor().List(t.Context())
		if err != nil || len(got.Kept) > 0 || len(got.Intents) != 2 {
			t.Errorf("it is read as %+v (%v)", got, err)
		}
		for _, record := range s.auditor().Reader().Read(t.Context(), kube.Batch{Name: "confirmed", Content: s.batches["confirmed"]}) {
			if record.Intent.Useless != "h-1" || record.Intent.Plans[0].Request.GetAccessibilityRequirements() == nil || !record.Origin.Signed || !record.Origin.Written.Equal(today) {
				t.Errorf("confirmed is %+v", record)
			}
		}
		if err := decide(t, s, journal.Decisions.Discard, "uid-a"); err == nil {
			t.Error("it is discarded as well")
		}
	})
	t.Run("discard", func(t *testing.T) {
		s := newShelf()
		s.record(t, forged, "a")
		if err := decide(t, s, journal.Decisions.Discard, "uid-a"); err != nil {
			t.Fatal(err)
		}
		if got, err := s.auditor().List(t.Context()); err != nil || len(got.Kept)+len(got.Intents) > 0 {
			t.Errorf("it is read as %+v (%v)", got, err)
		}
	})
	for name, c := range map[string]struct {
		by   sidecar
		torn bool
		what func(journal.Decisions, context.Context, kube.Batch, string) error
		key  string
		want string
	}{
		"confirm what counts":        {ours(), false, journal.Decisions.Confirm, "uid-a", "the sidecar takes care of it"},
		"discard what counts":        {ours(), false, journal.Decisions.Discard, "uid-a", "the sidecar takes care of it"},
		"discard what there is not":  {forged, false, journal.Decisions.Discard, "uid-b", "there is no such record"},
		"confirm what can't be read": {forged, true, journal.Decisions.Confirm, "uid-a", "can't be read, and only be discarded"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf()
			s.record(t, c.by, "a")
			if c.torn {
				for _, content := range s.batches {
					content["uid-a"] = []byte("torn")
				}
			}
			before := len(s.batches)
			if err := decide(t, s, c.what, c.key); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			for _, content := range s.batches {
				if len(s.batches) != before || content["uid-a"] == nil {
					t.Error("something was changed")
				}
			}
		})
	}
}
