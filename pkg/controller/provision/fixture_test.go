package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/attempt"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

const (
	driverName = "driver.example"
	claimUID   = "7f1b5d9c-0000-4000-8000-000000000001"
	volumeName = "pvc-" + claimUID
	password   = "t0p-Secret"
	gib        = 1 << 30
	infeasible = 5 * time.Minute
)

// world is what a controller under test works with: a cluster as its caches
// show it, an API server, and a driver.
type world struct {
	t      *testing.T
	c      *Controller
	clock  *clocktesting.FakePassiveClock
	driver *driver
	store  *store
	vault  *vault
	events *events
	locks  *controller.VolumeLocks
	// sources are what volumes can be made from.
	sources *sources
	// journal notes what is durable.
	journal *fakeJournal

	claims, volumes, classes cache.Indexer
	// live returns the claim as it is at the API server; as in the cache if nil.
	live          func() (*corev1.PersistentVolumeClaim, error)
	liveReads     int
	rescheduled   []string
	rescheduleErr error
	// selected are the nodes that were selected for the claim; selectErrs tell how
	// the next tries end.
	selected   []string
	selectErrs []error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t:      t,
		clock:  clocktesting.NewFakePassiveClock(time.Unix(1_700_000_000, 0)),
		driver: &driver{volumes: map[string]*csipb.CreateVolumeRequest{}},
		store:  &store{volumes: map[string]*corev1.PersistentVolume{}},
		vault:  &vault{data: map[string][]byte{"password": []byte(password)}},
		events: &events{},
		locks:  &controller.VolumeLocks{},

		sources: newSources(),
		journal: &fakeJournal{open: map[types.UID]*journal.Intent{}},

		claims:  cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}),
		volumes: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{}),
		classes: cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{}),
	}
	w.c = New(Deps{
		Claims:     corelisters.NewPersistentVolumeClaimLister(w.claims),
		Volumes:    corelisters.NewPersistentVolumeLister(w.volumes),
		Classes:    storagelisters.NewStorageClassLister(w.classes),
		InTree:     kube.NewInTree(driverName),
		Places:     places{},
		Driver:     w.driver,
		Secrets:    w.vault,
		Store:      w.store,
		Handles:    w.store,
		ClaimStore: w,
		Journal:    w.journal,
		Events:     w.events,

		Sources:     w.sources,
		SourceLocks: &controller.VolumeLocks{},
		Released:    func(key source.Key) { w.sources.released = append(w.sources.released, key.String()) },

		Metrics: metrics.New().Volumes,
		Locks:   w.locks,
		Clock:   w.clock,
	}, Config{
		Driver: plan.Driver{Name: driverName, Identity: "me", Capabilities: capability.Set{
			ControllerService: true, CreateDelete: true, Topology: true, Snapshot: true, Clone: true,
		}},
		Options:         plan.Options{VolumeNamePrefix: "pvc", VolumeNameUUIDLength: -1, Topology: true, ImmediateTopology: true},
		InfeasibleRetry: infeasible,
	})
	w.setClass(nil)
	w.setClaim(nil)
	return w
}

// setClass stores the class, as changed.
func (w *world) setClass(change func(*storagev1.StorageClass)) {
	policy := corev1.PersistentVolumeReclaimDelete
	class := &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: driverName, ReclaimPolicy: &policy,
		Parameters: map[string]string{
			"tier": "gold",
			names.ParameterPrefix + "provisioner-secret-name":      "creds",
			names.ParameterPrefix + "provisioner-secret-namespace": "default",
		},
	}
	if change != nil {
		change(class)
	}
	w.must(w.classes.Update(class))
}

// fixClass changes what the driver is asked for.
func (w *world) fixClass(tier string) {
	w.setClass(func(class *storagev1.StorageClass) { class.Parameters["tier"] = tier })
}

// setClaim stores the claim, as changed.
func (w *world) setClaim(change func(*corev1.PersistentVolumeClaim)) {
	className := "fast"
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "claim", UID: claimUID, ResourceVersion: "1",
			Annotations: map[string]string{names.StorageProvisioner: driverName},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: &className,
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
	if change != nil {
		change(claim)
	}
	w.must(w.claims.Update(claim))
}

func (w *world) deleteClaim() {
	w.must(w.claims.Delete(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "claim"}}))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// reconcile looks at the claim once.
func (w *world) reconcile() (controller.Result, error) {
	ctx := klog.NewContext(w.t.Context(), ktesting.NewLogger(ktesting.NopTL{}, ktesting.NewConfig()))
	return w.c.Reconcile(ctx, Key{Namespace: "ns", Name: "claim", UID: claimUID})
}

// works looks at the claim once, and expects no error.
func (w *world) works() controller.Result {
	w.t.Helper()
	result, err := w.reconcile()
	if err != nil {
		w.t.Fatalf("Reconcile: %v", err)
	}
	return result
}

// fails looks at the claim once, and expects an error with these words.
func (w *world) fails(words ...string) controller.Result {
	w.t.Helper()
	result, err := w.reconcile()
	if err == nil {
		w.t.Fatalf("Reconcile has no error, want one with %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			w.t.Errorf("Reconcile: error %q, want one with %q", err, word)
		}
	}
	return result
}

// atDriver compares the number of volumes that the driver has.
func (w *world) atDriver(want int) {
	w.t.Helper()
	if len(w.driver.volumes) != want {
		w.t.Errorf("the driver has the volumes %v, want %d", maps.Keys(w.driver.volumes), want)
	}
}

// calls compares the calls to the driver.
func (w *world) calls(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.driver.calls); diff != "" {
		w.t.Errorf("calls of the driver (-want +got):\n%s", diff)
	}
}

// said compares the events.
func (w *world) said(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.events.all); diff != "" {
		w.t.Errorf("events (-want +got):\n%s", diff)
	}
}

// sameRequests fails unless the driver got all requests the same.
func (w *world) sameRequests() {
	w.t.Helper()
	for n, request := range w.driver.requests[1:] {
		if diff := cmp.Diff(w.driver.requests[0], request, protocmp.Transform()); diff != "" {
			w.t.Errorf("request %d differs from the first (-first +got):\n%s", n+1, diff)
		}
	}
}

// state is that of the claim's attempt.
func (w *world) state() attempt.State {
	if r := w.c.claims.records[claimUID]; r != nil {
		return r.state
	}
	return attempt.State{}
}

// settled fails when the controller remembers anything of the claim but whether its
// volume is stored, or an event holds the secret.
func (w *world) settled() {
	w.t.Helper()
	w.idle()
	for _, r := range w.c.claims.records {
		if r.announced || r.volume != nil || r.state.Phase != attempt.Settled && r.state != (attempt.State{}) {
			w.t.Errorf("of the claim is remembered: %+v", *r)
		}
	}
}

// idle fails when there is an attempt.
func (w *world) idle() {
	w.t.Helper()
	if phase := w.state().Phase; phase.Open() || len(w.c.claims.found) > 0 {
		w.t.Errorf("an attempt is remembered, in phase %s", phase)
	}
	if n := len(w.c.uses.of) + len(w.c.uses.by) + len(w.c.uses.confirmed); n > 0 {
		w.t.Errorf("%d sources are in use", n)
	}
	if n := len(w.journal.open); n > 0 {
		w.t.Errorf("%d intents are open", n)
	}
	if n := reflect.ValueOf(w.locks).Elem().FieldByName("locks").Len(); n > 0 {
		w.t.Errorf("%d locks are remembered", n)
	}
	for _, event := range w.events.all {
		if strings.Contains(event, password) {
			w.t.Errorf("the event shows the secret: %s", event)
		}
	}
}

// waitsFor compares what the claim waits for: nothing, or all that it depends on.
func (w *world) waitsFor(result controller.Result, want ...controller.Dependency) {
	w.t.Helper()
	if diff := cmp.Diff(want, result.WaitFor); diff != "" {
		w.t.Errorf("waits for (-want +got):\n%s", diff)
	}
}

func dependencies() []controller.Dependency {
	return []controller.Dependency{controller.ClassChanged("fast"), TopologyChanged(), controller.DriverReconnected(), VolumeGone(volumeName)}
}

// driver makes volumes as the CSI specification demands; answers tell how the
// next calls of CreateVolume end, and deletions those of DeleteVolume.
type driver struct {
	volumes   map[string]*csipb.CreateVolumeRequest // by handle
	answers   []answer
	deletions []error
	calls     []string
	requests  []*csipb.CreateVolumeRequest
	secrets   []map[string]string
	// migrated tells which calls counted as for in-tree volumes.
	migrated []bool
	// atSlot is called when a call of CreateVolume has waited for its turn.
	atSlot func()
}

// answer is how a call of CreateVolume ends.
type answer struct {
	// err is returned, after the volume has been made if made is set.
	err  error
	made bool
	// change, if set, changes the response.
	change func(*csipb.CreateVolumeResponse)
}

func failsWith(code codes.Code) answer {
	return answer{err: status.Error(code, "no")}
}

func makesAndFailsWith(code codes.Code) answer {
	return answer{err: status.Error(code, "no"), made: true}
}

func (d *driver) CreateVolume(ctx context.Context, request *csipb.CreateVolumeRequest, options ...csi.Option) (*csipb.CreateVolumeResponse, error) {
	if d.atSlot != nil {
		d.atSlot()
	}
	if err := csi.Recheck(options); err != nil {
		return nil, err
	}
	d.migrated = append(d.migrated, csi.IsForMigrated(ctx))
	d.calls = append(d.calls, "create "+request.GetParameters()["tier"])
	// The request shares what it holds with the plan, so it is copied to be
	// compared later.
	d.requests = append(d.requests, proto.CloneOf(request))
	d.secrets = append(d.secrets, request.GetSecrets())
	var now answer
	if len(d.answers) > 0 {
		now, d.answers = d.answers[0], d.answers[1:]
	}
	if now.err != nil && !now.made {
		return nil, now.err
	}
	handle := "h-" + request.GetName()
	if old, ok := d.volumes[handle]; ok && !maps.Equal(old.GetParameters(), request.GetParameters()) {
		return nil, status.Error(codes.AlreadyExists, "with other parameters")
	}
	d.volumes[handle] = request
	if now.err != nil {
		return nil, now.err
	}
	response := &csipb.CreateVolumeResponse{Volume: &csipb.Volume{VolumeId: handle, CapacityBytes: gib, ContentSource: request.GetVolumeContentSource()}}
	if now.change != nil {
		now.change(response)
	}
	return response, nil
}

func (d *driver) DeleteVolume(ctx context.Context, request *csipb.DeleteVolumeRequest, _ ...csi.Option) error {
	d.migrated = append(d.migrated, csi.IsForMigrated(ctx))
	d.calls = append(d.calls, "delete "+request.GetVolumeId())
	d.secrets = append(d.secrets, request.GetSecrets())
	if len(d.deletions) > 0 {
		err := d.deletions[0]
		d.deletions = d.deletions[1:]
		if err != nil {
			return err
		}
	}
	delete(d.volumes, request.GetVolumeId())
	return nil
}

// store keeps PersistentVolumes; errs tell how the next writes end.
type store struct {
	volumes map[string]*corev1.PersistentVolume
	errs    []error
	writes  int
	// gets counts the reads, and getErrs tell how the next ones end.
	gets    int
	getErrs []error
	// cached are the names of PersistentVolumes that the cache shows, by handle.
	cached map[string]string
	// holderErr is the error of looking for a handle at the API server.
	holderErr error
}

func (s *store) Holder(handle, except string) (string, error) {
	if name := s.cached[handle]; name != except {
		return name, nil
	}
	return "", nil
}

func (s *store) HolderNow(_ context.Context, handle, except string) (string, error) {
	for name, volume := range s.volumes {
		if name != except && volume.Spec.CSI.VolumeHandle == handle {
			return name, s.holderErr
		}
	}
	return "", s.holderErr
}

func (s *store) Get(_ context.Context, name string) (*corev1.PersistentVolume, error) {
	s.gets++
	if len(s.getErrs) > 0 {
		err := s.getErrs[0]
		s.getErrs = s.getErrs[1:]
		return nil, err
	}
	if volume, ok := s.volumes[name]; ok {
		return volume, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "persistentvolumes"}, name)
}

func (s *store) Store(_ context.Context, volume *corev1.PersistentVolume) error {
	s.writes++
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		if err != nil {
			return err
		}
	}
	s.volumes[volume.Name] = volume
	return nil
}

// taken is the error for a volume of the same name with that handle.
func taken(handle string) error {
	return &kube.TakenError{Volume: &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: volumeName},
		Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{
			CSI: &corev1.CSIPersistentVolumeSource{Driver: driverName, VolumeHandle: handle},
		}},
	}}
}

// vault holds the Secret.
type vault struct {
	data   map[string][]byte
	err    error
	forgot int
}

func (v *vault) Get(_ context.Context, ref secrets.Ref) (secrets.Credentials, error) {
	if want := (secrets.Ref{Namespace: "default", Name: "creds"}); ref != want {
		return secrets.Credentials{}, fmt.Errorf("there is no Secret %s", ref)
	}
	if v.err != nil {
		return secrets.Credentials{}, v.err
	}
	return secrets.NewCredentials(v.data), nil
}

func (v *vault) Forget(secrets.Ref) { v.forgot++ }

// missing is the error of a Secret that does not exist.
func missing() error {
	return fmt.Errorf("reading Secret: %w", apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, "creds"))
}

// unreadable is that of one that can't be read.
func unreadable() error { return errors.New("the API server is away") }

// events are those sent.
type events struct{ all []string }

func (e *events) Normal(object runtime.Object, reason, message string) {
	e.add("Normal", object, reason, message)
}

func (e *events) Warning(object runtime.Object, reason, message string) {
	e.add("Warning", object, reason, message)
}

func (e *events) add(kind string, object runtime.Object, reason, message string) {
	claim, ok := object.(*corev1.PersistentVolumeClaim)
	if !ok || claim.UID != claimUID {
		message = fmt.Sprintf("%s (about %v)", message, object)
	}
	e.all = append(e.all, kind+" "+reason+": "+message)
}

// Get implements ClaimStore: the claim at the API server.
func (w *world) Get(_ context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	w.liveReads++
	if w.live != nil {
		return w.live()
	}
	return corelisters.NewPersistentVolumeClaimLister(w.claims).PersistentVolumeClaims(namespace).Get(name)
}

// fakeJournal keeps intents in memory; errs tell how the next records end.
type fakeJournal struct {
	open    map[types.UID]*journal.Intent
	last    *journal.Intent
	undoing []types.UID
	errs    []error
	records int
	// settled are the claims whose record was to be gone; settleErrs tell how that ended.
	settled    []types.UID
	settleErrs []error
}

func (j *fakeJournal) Begin(_ context.Context, intent *journal.Intent) error {
	if old := j.open[intent.Claim.UID]; old != nil && old.Covers(intent) {
		return nil
	}
	j.records++
	if len(j.errs) > 0 {
		err := j.errs[0]
		j.errs = j.errs[1:]
		if err != nil {
			return err
		}
	}
	j.open[intent.Claim.UID], j.last = intent, intent
	return nil
}

func (j *fakeJournal) Undoing(uid types.UID) { j.undoing = append(j.undoing, uid) }

func (j *fakeJournal) End(uid types.UID) { delete(j.open, uid) }

func (j *fakeJournal) Settle(_ context.Context, uid types.UID) error {
	j.settled = append(j.settled, uid)
	if len(j.settleErrs) == 0 {
		return nil
	}
	err := j.settleErrs[0]
	j.settleErrs = j.settleErrs[1:]
	return err
}

// Reschedule implements ClaimStore.
func (w *world) Reschedule(_ context.Context, claim *corev1.PersistentVolumeClaim) error {
	w.rescheduled = append(w.rescheduled, claim.Annotations[names.SelectedNode])
	return w.rescheduleErr
}

// Select implements ClaimStore.
func (w *world) Select(_ context.Context, claim *corev1.PersistentVolumeClaim, node string) error {
	w.selected = append(w.selected, node+" at "+claim.ResourceVersion)
	if len(w.selectErrs) == 0 {
		return nil
	}
	err := w.selectErrs[0]
	w.selectErrs = w.selectErrs[1:]
	return err
}

// places are the nodes n1, n2 in zones of these names; all others are unknown.
type places struct{}

func (places) Facts(node string) topology.Facts {
	index := topology.NewIndex()
	for _, name := range []string{"n1", "n2"} {
		index.SetNode(name, map[string]string{"zone": name})
		index.SetRegistration(name, []string{"zone"})
	}
	return index.Facts(node)
}

// Events and their texts that many tests expect.
const (
	creating  = "Normal Provisioning: Creating volume \"" + volumeName + "\" at CSI driver \"" + driverName + "\""
	succeeded = "Normal ProvisioningSucceeded: Successfully provisioned volume " + volumeName
	atCall    = "creating volume \"" + volumeName + "\" at CSI driver \"" + driverName + "\": "
	failed    = "Warning ProvisioningFailed: "
	removing  = "delete h-" + volumeName
)
