package expand_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/expand"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/expand"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

const (
	driverName = "driver.example"
	password   = "t0p-Secret"
	retryMax   = 5 * time.Minute
	gi         = int64(1) << 30
)

// world is an API server, what the informers show of it, a driver, and the
// controller between them. What the controller does to any of them goes to the
// journal, in order.
type world struct {
	t       *testing.T
	journal []string
	// messages are those of the events.
	messages []string

	// claim and volume are as the API server has them; nil when they are gone.
	claim    *corev1.PersistentVolumeClaim
	volume   *corev1.PersistentVolume
	version  int
	patches  int
	atPatch  func(n int) error // called before the n-th patch, from 1, is applied
	atStored func()            // called after a patch has been applied
	atSlot   func()            // called while a call to the driver waits for its turn

	shownClaims, shownVolumes, shownClasses cache.Indexer

	// migrated tells that the last call counted as one for an in-tree volume.
	migrated  bool
	expand    func(*csipb.ControllerExpandVolumeRequest) (*csipb.ControllerExpandVolumeResponse, error)
	secretErr error
	forgotten []secrets.Ref
	using     []string
	podsErr   error
	followed  []string

	clock  *clocktesting.FakePassiveClock
	locks  controller.VolumeLocks
	deps   expand.Deps
	config expand.Config
	*expand.Controller
}

// newWorld has a claim of 6Gi that asks for 7Gi, and a driver that expands volumes
// with credentials and leaves the rest to the node.
func newWorld(t *testing.T) *world {
	w := &world{
		t:           t,
		claim:       newClaim(),
		volume:      newVolume(),
		shownClaims: indexer(), shownVolumes: indexer(), shownClasses: indexer(),
		clock: clocktesting.NewFakePassiveClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
		config: expand.Config{
			Driver:                 driverName,
			Capabilities:           capability.Set{ControllerService: true, ControllerExpand: true, NodeExpand: true},
			Options:                plan.Options{RecoverVolumeExpansionFailure: true, AnnotateFsResize: true},
			HandleVolumeInUseError: true,
			InfeasibleRetry:        retryMax,
		},
	}
	w.answer(7*gi, true)
	w.deps = expand.Deps{
		Claims:  corelisters.NewPersistentVolumeClaimLister(w.shownClaims),
		Volumes: corelisters.NewPersistentVolumeLister(w.shownVolumes),
		Classes: storagelisters.NewStorageClassLister(w.shownClasses),
		Driver:  driver{w}, Secrets: vault{w}, Status: claimStatus{w}, Store: volumeStore{w},
		InTree: kube.NewInTree(driverName), Pods: pods{w}, Events: eventSender{w},
		Locks: &w.locks, Clock: w.clock,
	}
	return w
}

func indexer() cache.Indexer {
	return cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
}

func sized(size string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
}

func newClaim() *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "data", UID: "claim-1", ResourceVersion: "1"},
		Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: "pvc-1", Resources: corev1.VolumeResourceRequirements{Requests: sized("7Gi")}},
		Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: sized("6Gi")},
	}
}

func newVolume() *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-1", UID: "volume-1", ResourceVersion: "1"},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:         sized("6Gi"),
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			ClaimRef:         &corev1.ObjectReference{Namespace: "team-a", Name: "data", UID: "claim-1"},
			StorageClassName: "fast",
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				Driver: driverName, VolumeHandle: "handle",
				ControllerExpandSecretRef: &corev1.SecretReference{Namespace: "default", Name: "credentials"},
			}},
		},
	}
}

// start makes the controller, and has the informers show what there is.
func (w *world) start() *world {
	w.version = 1
	w.Controller = expand.New(w.deps, w.config)
	w.sync()
	return w
}

// sync has the informers catch up with the API server, and tell of it.
func (w *world) sync() {
	w.t.Helper()
	before := append(w.shownClaims.List(), w.shownVolumes.List()...)
	show := func(shown cache.Indexer, objects ...any) {
		if err := shown.Replace(objects, ""); err != nil {
			w.t.Fatal(err)
		}
	}
	show(w.shownClaims)
	if w.claim != nil {
		show(w.shownClaims, w.claim.DeepCopy())
	}
	show(w.shownVolumes)
	if w.volume != nil {
		show(w.shownVolumes, w.volume.DeepCopy())
	}
	for _, object := range slices.Concat(before, w.shownClaims.List(), w.shownVolumes.List()) {
		switch object := object.(type) {
		case *corev1.PersistentVolumeClaim:
			w.ClaimShown(object)
		case *corev1.PersistentVolume:
			w.VolumeShown(object)
		}
	}
}

// another changes the claim at the API server, as somebody else does.
func (w *world) another(change func(*corev1.PersistentVolumeClaim)) {
	w.claim = w.claim.DeepCopy()
	change(w.claim)
	w.claim.ResourceVersion = w.next()
}

// anotherVolume does that to the volume.
func (w *world) anotherVolume(change func(*corev1.PersistentVolume)) {
	w.volume = w.volume.DeepCopy()
	change(w.volume)
	w.volume.ResourceVersion = w.next()
}

func (w *world) request(size string) {
	w.another(func(c *corev1.PersistentVolumeClaim) { c.Spec.Resources.Requests = sized(size) })
}

func (w *world) next() string {
	w.version++
	return strconv.Itoa(w.version)
}

// answer has the driver succeed.
func (w *world) answer(bytes int64, node bool) {
	w.expand = func(*csipb.ControllerExpandVolumeRequest) (*csipb.ControllerExpandVolumeResponse, error) {
		return &csipb.ControllerExpandVolumeResponse{CapacityBytes: bytes, NodeExpansionRequired: node}, nil
	}
}

// fail has the driver fail.
func (w *world) fail(err error) {
	w.expand = func(*csipb.ControllerExpandVolumeRequest) (*csipb.ControllerExpandVolumeResponse, error) {
		return nil, err
	}
}

func (w *world) key() expand.Key {
	return expand.Key{Namespace: "team-a", Name: "data", UID: "claim-1"}
}

func (w *world) reconcile() (controller.Result, error) {
	return w.Reconcile(w.t.Context(), w.key())
}

// succeed reconciles without an error.
func (w *world) succeed() controller.Result {
	w.t.Helper()
	result, err := w.reconcile()
	if err != nil {
		w.t.Fatalf("Reconcile: %v", err)
	}
	return result
}

// expect checks what was done since it was last called.
func (w *world) expect(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(strings.Join(want, "\n"), strings.Join(w.journal, "\n")); diff != "" {
		w.t.Errorf("what was done (-want +got):\n%s", diff)
	}
	w.journal = nil
}

// calls counts the calls to the driver since expect was last called.
func (w *world) calls() int {
	n := 0
	for _, entry := range w.journal {
		if strings.HasPrefix(entry, "expand ") {
			n++
		}
	}
	return n
}

func (w *world) note(format string, values ...any) {
	w.journal = append(w.journal, fmt.Sprintf(format, values...))
}

// describe is a claim's expansion in one line.
func describe(c *corev1.PersistentVolumeClaim) string {
	conditions := []string{}
	for _, condition := range c.Status.Conditions {
		conditions = append(conditions, string(condition.Type))
	}
	line := fmt.Sprintf("claim %s %s<%s %v", c.Status.AllocatedResourceStatuses[corev1.ResourceStorage],
		size(c.Status.Capacity), size(c.Status.AllocatedResources), conditions)
	if c.Annotations[names.NodeExpansionNotRequired] == "true" {
		line += " whole"
	}
	return line
}

func size(list corev1.ResourceList) string {
	quantity := list[corev1.ResourceStorage]
	return quantity.String()
}

func describeVolume(v *corev1.PersistentVolume) string {
	line := "volume " + size(v.Spec.Capacity)
	if before, ok := v.Annotations[names.PreResizeCapacity]; ok {
		line += " was " + before
	}
	if v.Spec.CSI != nil && v.Spec.CSI.ControllerExpandSecretRef == nil {
		line += " without secret"
	}
	return line
}
