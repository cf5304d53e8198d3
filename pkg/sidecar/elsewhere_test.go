package sidecar

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

// shelf holds the batches of all nodes. The node of a batch is its name up to the
// first dash.
type shelf struct {
	batches map[string]map[string][]byte
	err     error
}

func (s *shelf) Create(_ context.Context, name string, content map[string][]byte) error {
	s.batches[name] = content
	return nil
}
func (s *shelf) Drop(context.Context, string, []string) error { return nil }
func (s *shelf) Delete(context.Context, string) error         { return nil }

// Each implements journal.Store.
func (s *shelf) Each(_ context.Context, see func(kube.Batch)) error {
	for name, content := range s.batches {
		node, _, _ := strings.Cut(name, "-")
		see(kube.Batch{Name: name, Node: node, Content: content})
	}
	return s.err
}

// journalOn returns a running journal that writes to the shelf.
func journalOn(t *testing.T, s *shelf, prefix string) *journal.Journal {
	t.Helper()
	j := journal.New(journal.Options{
		Store: s, Access: func(context.Context) error { return nil }, Prefix: prefix,
		Clock: clock.RealClock{}, Metrics: metrics.New().Journal, Judge: journal.Trust, Report: func(context.Context, error) {},
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

// neighbours are the journals of other nodes as the process of node "own" sees them.
type neighbours struct {
	*otherJournals
	shelf   *shelf
	claims  cache.Indexer
	clock   *clocktesting.FakePassiveClock
	reports []string
}

func newNeighbours(s *shelf, own knower) *neighbours {
	n := &neighbours{
		shelf: s, claims: cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil),
		clock: clocktesting.NewFakePassiveClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
	}
	n.otherJournals = &otherJournals{
		own: own, node: "own", all: s, judge: journal.Trust, clock: n.clock, claims: corelisters.NewPersistentVolumeClaimLister(n.claims),
		report: func(_ context.Context, err error) { n.reports = append(n.reports, reasonOf(err)+" "+err.Error()) },
		unread: map[metrics.UnreadableRecord]time.Time{},
	}
	return n
}

func daily() source.Key {
	return source.Key{Kind: source.KindSnapshot, Namespace: "ns", Name: "daily"}
}

// intentFrom is that of a claim whose volume is made from the snapshot.
func intentFrom(key source.Key, claim types.UID) *journal.Intent {
	return &journal.Intent{
		Claim: kube.ClaimKey{Namespace: "ns", Name: "c", UID: claim},
		Plans: []*provision.Plan{{
			Request: &csipb.CreateVolumeRequest{Name: "pvc-1"},
			Volume:  &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pvc-1"}},
			Source:  &source.Object{Key: key, UID: "snap-uid"},
		}},
	}
}

// TestSourcesOfOtherNodes: what another node's process makes a volume from is found
// in its journal; what the own one does is known without.
func TestSourcesOfOtherNodes(t *testing.T) {
	s := &shelf{batches: map[string]map[string][]byte{}}
	own, other := journalOn(t, s, "own-"), journalOn(t, s, "other-")
	if err := other.Begin(t.Context(), intentFrom(daily(), "1")); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		others *otherJournals
		key    source.Key
		want   bool
	}{
		"of another node":          {newNeighbours(s, own).otherJournals, daily(), true},
		"of the own one":           {newNeighbours(s, other).otherJournals, daily(), false},
		"another source":           {newNeighbours(s, own).otherJournals, source.Key{Kind: source.KindClaim, Namespace: "ns", Name: "daily"}, false},
		"outside of such a set-up": {nil, daily(), false},
	} {
		if got, err := (users{others: test.others}).Elsewhere(t.Context(), test.key); err != nil || got != test.want {
			t.Errorf("%s: %t (%v)", name, got, err)
		}
	}
	s.err = errors.New("no leader")
	if _, err := newNeighbours(s, own).use(t.Context(), daily()); !errors.Is(err, s.err) {
		t.Errorf("the error is %v", err)
	}
	s.err = apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "", errors.New("no"))
	if got, err := newNeighbours(s, own).use(t.Context(), daily()); err != nil || got {
		t.Errorf("without the right to read journals: %t (%v)", got, err)
	}
}

// knowsNothing is a process without intents.
type knowsNothing struct{}

func (knowsNothing) Knows(types.UID) bool { return false }

func (knowsNothing) Reader(judge journal.Judge) journal.Reader { return journal.Reader{Judge: judge} }

// A record of any node that can't be read keeps the source of its claim, and no other.
func TestUnreadableRecordsKeepTheSourceOfTheirClaim(t *testing.T) {
	from := func(name string) func(*corev1.PersistentVolumeClaim) {
		return func(c *corev1.PersistentVolumeClaim) {
			c.Spec.DataSource = &corev1.TypedLocalObjectReference{APIGroup: ptr.To(source.SnapshotGroup), Kind: source.KindSnapshot, Name: name}
		}
	}
	for name, test := range map[string]struct {
		claim func(*corev1.PersistentVolumeClaim) // nil for none
		late  bool                                // after the time in which the claim may not be shown yet
		want  bool
	}{
		"it names the source":                  {from("daily"), true, true},
		"it names another":                     {from("weekly"), false, false},
		"it names none":                        {func(*corev1.PersistentVolumeClaim) {}, false, false},
		"it has a volume":                      {func(c *corev1.PersistentVolumeClaim) { from("daily")(c); c.Spec.VolumeName = "pv" }, false, false},
		"it is being deleted":                  {func(c *corev1.PersistentVolumeClaim) { from("daily")(c); c.DeletionTimestamp = &metav1.Time{} }, true, true},
		"it is another one of the same name":   {func(c *corev1.PersistentVolumeClaim) { from("daily")(c); c.UID = "2" }, true, false},
		"it is gone":                           {nil, true, false},
		"it is gone, or not shown yet":         {nil, false, true},
		"the other one's record is not fresh":  {from("weekly"), true, false},
		"it names the source, and is not late": {from("daily"), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNeighbours(&shelf{batches: map[string]map[string][]byte{"b-1": {"1": []byte("?")}}}, knowsNothing{})
			if test.claim != nil {
				claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c", UID: "1"}}
				test.claim(claim)
				if err := n.claims.Add(claim); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := n.use(t.Context(), daily()); err != nil {
				t.Fatal(err)
			}
			if test.late {
				n.clock.SetTime(n.clock.Now().Add(unreadFresh))
			}
			if got, err := n.use(t.Context(), daily()); err != nil || got != test.want {
				t.Errorf("it is in use: %t (%v), want %t", got, err, test.want)
			}
		})
	}
}

// A record that can't be read hides no other.
func TestUnreadableRecordBesideOneThatCanBeRead(t *testing.T) {
	s := &shelf{batches: map[string]map[string][]byte{}}
	if err := journalOn(t, s, "b-").Begin(t.Context(), intentFrom(daily(), "2")); err != nil {
		t.Fatal(err)
	}
	s.batches["a-1"] = map[string][]byte{"1": []byte("?")}
	if got, err := newNeighbours(s, knowsNothing{}).use(t.Context(), daily()); err != nil || !got {
		t.Errorf("it is in use: %t (%v)", got, err)
	}
}

// TestForgedRecordOfAnotherNode: it keeps the source that its claim names, and no other.
func TestForgedRecordOfAnotherNode(t *testing.T) {
	s := &shelf{batches: map[string]map[string][]byte{}}
	if err := journalOn(t, s, "b-").Begin(t.Context(), intentFrom(daily(), "2")); err != nil {
		t.Fatal(err)
	}
	n := newNeighbours(s, knowsNothing{})
	n.judge = judgeOthers(journal.Installation{Driver: "d", Node: "own"})
	if _, err := n.use(t.Context(), daily()); err != nil {
		t.Fatal(err)
	}
	n.clock.SetTime(n.clock.Now().Add(unreadFresh))
	if got, err := n.use(t.Context(), daily()); err != nil || got {
		t.Errorf("it is in use: %t (%v)", got, err)
	}
	if len(n.reports) != 1 || !strings.Contains(n.reports[0], "it is not signed by this installation") {
		t.Errorf("told is %q", n.reports)
	}
}

// Somebody must be told, once, where the records are, and for how long they are there.
func TestUnreadableRecordsAreNamed(t *testing.T) {
	n := newNeighbours(&shelf{batches: map[string]map[string][]byte{
		"a-1": {"1": []byte("?"), "2": []byte("?")}, "own-1": {"3": []byte("?")},
	}}, knowsNothing{})
	for range 3 {
		if _, err := n.use(t.Context(), daily()); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(n.reports)
	if len(n.reports) != 2 {
		t.Fatalf("told is %q", n.reports)
	}
	for i, report := range n.reports {
		if want := fmt.Sprintf(`JournalUnreadable on node "a": key "%d" of ConfigMap "a-1": `, i+1); !strings.HasPrefix(report, want) {
			t.Errorf("told is %q, want %q", report, want)
		}
	}
	set := metrics.New()
	set.Journal.WatchUnreadable(n.list)
	measured := func() []string {
		families, err := set.Gatherer().Gather()
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				if family.GetName() == "csi_provisioner_journal_unreadable_record" {
					all = append(all, metric.GetLabel()[0].GetValue()+" "+metric.GetLabel()[1].GetValue()+" "+metric.GetLabel()[2].GetValue())
				}
			}
		}
		return all
	}
	// Of the own ones, the own journal tells.
	if diff := cmp.Diff([]string{"a-1 1 a", "a-1 2 a"}, measured()); diff != "" {
		t.Errorf("measured are (-want +got):\n%s", diff)
	}
	// Somebody has taken care of one, then of all.
	delete(n.shelf.batches["a-1"], "2")
	if err := n.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a-1 1 a"}, measured()); diff != "" {
		t.Errorf("measured are then (-want +got):\n%s", diff)
	}
	n.shelf.batches = nil
	if err := n.refresh(t.Context()); err != nil || len(n.unread) > 0 || len(n.reports) != 2 {
		t.Errorf("%v is kept, told is %q (%v)", n.unread, n.reports, err)
	}
	n.shelf.err = errors.New("nobody asks any more")
	if err := n.refresh(t.Context()); err != nil {
		t.Error(err)
	}
}
