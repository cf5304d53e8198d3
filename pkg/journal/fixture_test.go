package journal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// latency is what a write to the shelf takes.
const latency = 5 * time.Millisecond

// shelf is a store in memory. The next writes end as errs say; those that are
// done all the same have written.
type shelf struct {
	mu      sync.Mutex
	batches map[string]map[string][]byte
	writes  []string
	errs    []failure
	// missing is the error of Access.
	missing error
}

type failure struct {
	error
	done bool
}

func newShelf() *shelf { return &shelf{batches: map[string]map[string][]byte{}} }

func (s *shelf) write(what string, do func()) error {
	time.Sleep(latency)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = append(s.writes, what)
	if len(s.errs) == 0 {
		do()
		return nil
	}
	f := s.errs[0]
	s.errs = s.errs[1:]
	if f.error == nil || f.done {
		do()
	}
	return f.error
}

func (s *shelf) Create(_ context.Context, name string, content map[string][]byte) error {
	return s.write("create", func() { s.batches[name] = maps.Clone(content) })
}

func (s *shelf) Drop(_ context.Context, name string, keys []string) error {
	return s.write(fmt.Sprint("drop ", len(keys)), func() {
		for _, key := range keys {
			delete(s.batches[name], key)
		}
	})
}

func (s *shelf) Delete(_ context.Context, name string) error {
	return s.write("delete", func() { delete(s.batches, name) })
}

func (s *shelf) Each(_ context.Context, see func(kube.Batch)) error {
	for name, content := range s.snapshot() {
		see(kube.Batch{Name: name, Content: content})
	}
	return nil
}

// readAll returns all records of a batch, of which none is signed.
func readAll(content map[string][]byte) []found {
	batch := kube.Batch{Name: "b", Content: content}
	return read(nil, batch, keysOf(batch))
}

func (s *shelf) Access(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.missing
}

func (s *shelf) setMissing(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missing = err
}

// snapshot returns what is on the shelf.
func (s *shelf) snapshot() map[string]map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]map[string][]byte{}
	for name, content := range s.batches {
		all[name] = maps.Clone(content)
	}
	return all
}

// put puts batches back on the shelf.
func (s *shelf) put(batches map[string]map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, content := range batches {
		s.batches[name] = maps.Clone(content)
	}
}

// log returns the writes since it was called last.
func (s *shelf) log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.writes
	s.writes = nil
	return log
}

func (s *shelf) failNext(errs ...failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, errs...)
}

// recorded returns the UIDs that are on the shelf, sorted.
func (s *shelf) recorded() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := []string{}
	for _, content := range s.batches {
		for key := range content {
			if key != termsKey {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

func forbidden() error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "x", errors.New("no"))
}

// desk is a journal under test that runs.
type desk struct {
	*testing.T
	*Journal
	shelf *shelf
	stop  func()
	// reports are the problems told of; <nil> for the end of one.
	reportsMu sync.Mutex
	reports   []string
}

// open starts a journal on the shelf.
func open(t *testing.T, s *shelf, change func(*Options)) *desk {
	t.Helper()
	d := &desk{T: t, shelf: s}
	options := Options{
		Store: s, Access: s.Access, Prefix: fmt.Sprintf("batch-%p-", d), Clock: clock.RealClock{}, Metrics: metrics.New().Journal, Judge: Trust,
		Report: d.report,
	}
	if change != nil {
		change(&options)
	}
	d.Journal = New(options)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { d.Journal.Run(ctx) })
	d.stop = func() { cancel(); running.Wait() }
	return d
}

func (d *desk) report(_ context.Context, err error) {
	d.reportsMu.Lock()
	defer d.reportsMu.Unlock()
	d.reports = append(d.reports, fmt.Sprint(err))
}

// told returns the reports, once all is at rest.
func (d *desk) told() []string {
	synctest.Wait()
	d.reportsMu.Lock()
	defer d.reportsMu.Unlock()
	return d.reports
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, change func(*Options), test func(*testing.T, *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, newShelf(), change)
		test(t, d)
		d.stop()
	})
}

func (d *desk) begin(intents ...*Intent) {
	d.Helper()
	for _, intent := range intents {
		if err := d.Begin(d.Context(), intent); err != nil {
			d.Fatal(err)
		}
	}
}

// beginAll begins at one time, in one batch if they fit, and returns the errors.
func (d *desk) beginAll(intents ...*Intent) []error {
	synctest.Wait()
	d.pace.bucket = 0
	errs := make([]error, len(intents))
	var all sync.WaitGroup
	for n, intent := range intents {
		all.Go(func() { errs[n] = d.Begin(d.Context(), intent) })
	}
	all.Wait()
	return errs
}

func uid(n int) types.UID { return types.UID(fmt.Sprintf("uid-%04d", n)) }

// intent is that of one claim, with a request that has what a request can have.
func intent(n int) *Intent {
	return &Intent{
		Claim: kube.ClaimKey{Namespace: "ns", Name: fmt.Sprintf("claim-%d", n), UID: uid(n)},
		Plans: []*provision.Plan{plan(n, "gold")},
	}
}

func intents(n int) []*Intent {
	var all []*Intent
	for i := range n {
		all = append(all, intent(i))
	}
	return all
}

func plan(n int, tier string) *provision.Plan {
	name := "pvc-" + string(uid(n))
	return &provision.Plan{
		Request: &csipb.CreateVolumeRequest{
			Name:          name,
			CapacityRange: &csipb.CapacityRange{RequiredBytes: 1<<62 + 1},
			VolumeCapabilities: []*csipb.VolumeCapability{{
				AccessMode: &csipb.VolumeCapability_AccessMode{Mode: csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER},
				AccessType: &csipb.VolumeCapability_Mount{Mount: &csipb.VolumeCapability_MountVolume{FsType: "xfs", MountFlags: []string{"ro"}}},
			}},
			Parameters:        map[string]string{"tier": tier, "ü\n": "\x00"},
			MutableParameters: map[string]string{"iops": "5"},
			VolumeContentSource: &csipb.VolumeContentSource{Type: &csipb.VolumeContentSource_Snapshot{
				Snapshot: &csipb.VolumeContentSource_SnapshotSource{SnapshotId: "snap-ü"},
			}},
		},
		Secret: &secrets.Ref{Namespace: "vault", Name: "creds"},
		Volume: &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}},
		Source: &source.Object{
			Key: source.Key{Kind: source.KindSnapshot, Namespace: "backups", Name: "daily"}, UID: "snap-uid",
		},
		UsesTopology: true,
		Reschedule:   n%2 == 0,
	}
}

// zones is a requirement of the zones with these names.
func zones(names ...string) *csipb.TopologyRequirement {
	var terms []*csipb.Topology
	for _, name := range names {
		terms = append(terms, &csipb.Topology{Segments: map[string]string{"zone": name, "region": "r"}})
	}
	return &csipb.TopologyRequirement{Requisite: terms, Preferred: append(slices.Clone(terms[1:]), terms[0])}
}

// remove deletes a batch, as somebody else does.
func (s *shelf) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.batches, name)
}
