package modify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/modify"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

const (
	driverName = "block.csi.example"
	password   = "t0p-Secret"
	pause      = 5 * time.Minute
)

// rig is a controller, and a cluster and a driver that write down what reaches
// them.
type rig struct {
	t       testing.TB
	clock   *clocktesting.FakeClock
	locks   *controller.VolumeLocks
	deps    modify.Deps
	subject *modify.Controller

	// The indexers are what the informers show; seen is called when they show
	// another claim.
	claims, volumes, classes cache.Indexer
	seen                     func(old, now *corev1.PersistentVolumeClaim)
	// lag keeps own writes from the informers until sync; quiet keeps the
	// controller from being told what they show.
	lag, quiet bool

	mu      sync.Mutex
	version int
	claim   *corev1.PersistentVolumeClaim
	volume  *corev1.PersistentVolume
	// atSlot is called while a call to the driver waits for its turn.
	atSlot func()
	// log is what has reached the cluster and the driver, in order.
	log []string
	// fail is asked before each write ("claim" or "volume") and call ("driver",
	// "secret"), with the number of those before it.
	fail func(what string, n int) error
	done map[string]int
}

func newRig(t testing.TB) *rig {
	r := &rig{
		t: t, locks: &controller.VolumeLocks{},
		clock:   clocktesting.NewFakeClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
		claims:  cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}),
		volumes: cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil),
		classes: cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil),
		fail:    func(string, int) error { return nil },
		seen:    func(_, _ *corev1.PersistentVolumeClaim) {},
		done:    map[string]int{},
		version: 10,
	}
	r.claim = &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data", UID: "uid-1", ResourceVersion: "7"},
		Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: "pv-1"},
		Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	}
	r.volume = &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv-1", UID: "uid-2", ResourceVersion: "8"},
		Spec: corev1.PersistentVolumeSpec{
			ClaimRef: &corev1.ObjectReference{Namespace: "shop", Name: "data", UID: "uid-1"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{
					Driver: driverName, VolumeHandle: "vol-1",
					ControllerExpandSecretRef: &corev1.SecretReference{Namespace: "storage", Name: "admin"},
				},
			},
		},
	}
	r.deps = modify.Deps{
		Claims:  corelisters.NewPersistentVolumeClaimLister(r.claims),
		Volumes: corelisters.NewPersistentVolumeLister(r.volumes),
		Classes: storagelisters.NewVolumeAttributesClassLister(r.classes),
		Driver:  r, Secrets: secretPort{r}, ClaimStatus: claimPort{r}, VolumeWriter: volumePort{r}, Events: r,
		Locks: r.locks, Clock: r.clock,
	}
	r.restart(r.clock)
	r.sync()
	return r
}

// restart makes a new controller, which knows nothing.
func (r *rig) restart(c clock.PassiveClock) {
	r.deps.Clock = c
	r.subject = modify.New(r.deps, modify.Config{
		Driver: driverName, Capabilities: capability.Set{Modify: true}, InfeasibleRetry: pause,
	})
}

// want has the user name another class.
func (r *rig) want(class string) {
	r.change(func(claim *corev1.PersistentVolumeClaim) { claim.Spec.VolumeAttributesClassName = &class })
}

// change is a write of the claim by somebody else; the informers show it at once.
func (r *rig) change(how func(claim *corev1.PersistentVolumeClaim)) {
	r.mu.Lock()
	claim := r.claim.DeepCopy()
	how(claim)
	claim.ResourceVersion = r.next()
	r.claim = claim
	r.mu.Unlock()
	r.sync()
}

func (r *rig) make(name, driver string) {
	r.put(r.classes, &storagev1.VolumeAttributesClass{
		ObjectMeta: metav1.ObjectMeta{Name: name}, DriverName: driver, Parameters: map[string]string{"tier": name},
	})
}

func (r *rig) put(indexer cache.Indexer, object any) {
	if err := indexer.Update(object); err != nil {
		r.t.Error(err)
	}
}

// sync lets the informers show what is stored.
func (r *rig) sync() {
	r.mu.Lock()
	claim, volume := r.claim, r.volume
	r.mu.Unlock()
	var old *corev1.PersistentVolumeClaim
	if shown, ok, _ := r.claims.GetByKey("shop/data"); ok {
		old = shown.(*corev1.PersistentVolumeClaim)
	}
	r.put(r.claims, claim)
	r.put(r.volumes, volume)
	if !r.quiet && (old == nil || old.ResourceVersion != claim.ResourceVersion) {
		r.subject.ClaimShown(claim)
		r.seen(old, claim)
	}
}

func (r *rig) key() modify.Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	return modify.KeyOf(r.claim)
}

func (r *rig) reconcile() (controller.Result, error) {
	return r.subject.Reconcile(r.t.Context(), r.key())
}

func (r *rig) next() string {
	r.version++
	return fmt.Sprint(r.version)
}

func (r *rig) note(format string, args ...any) { r.log = append(r.log, fmt.Sprintf(format, args...)) }

// taken returns the log, and begins another.
func (r *rig) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	log := r.log
	r.log = nil
	return log
}

func (r *rig) count(prefix string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(r.log), func(line string) bool { return !strings.HasPrefix(line, prefix) }))
}

// failing asks whether a request fails.
func (r *rig) failing(what string) error {
	r.mu.Lock()
	n := r.done[what]
	r.done[what]++
	r.mu.Unlock()
	return r.fail(what, n)
}

// nth makes the n-th request of a kind fail.
func nth(what string, n int, err error) func(string, int) error {
	return func(asked string, i int) error {
		if asked == what && i == n {
			return err
		}
		return nil
	}
}

func conflict() error {
	return fmt.Errorf("writing: %w", apierrors.NewConflict(schema.GroupResource{Resource: "things"}, "data", errors.New("changed")))
}

// stored is an object as the API server returns it: times lose their fractions.
func stored[T any](t testing.TB, object *T) *T {
	encoded, err := json.Marshal(object)
	if err != nil {
		t.Error(err)
	}
	result := new(T)
	if err := json.Unmarshal(encoded, result); err != nil {
		t.Error(err)
	}
	return result
}

type claimPort struct{ *rig }

func (p claimPort) Get(context.Context, string, string) (*corev1.PersistentVolumeClaim, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.claim == nil {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "persistentvolumeclaims"}, "data")
	}
	return stored(p.t, p.claim), nil
}

func (p claimPort) Patch(_ context.Context, from, to *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error) {
	if equality.Semantic.DeepEqual(from, to) {
		p.t.Error("a patch of nothing")
		return from, nil
	}
	if err := p.failing("claim"); err != nil {
		p.mu.Lock()
		p.note("claim: refused")
		p.mu.Unlock()
		return nil, err
	}
	p.mu.Lock()
	if from.UID != p.claim.UID || from.ResourceVersion != p.claim.ResourceVersion {
		p.note("claim: conflict")
		p.mu.Unlock()
		return nil, conflict()
	}
	p.claim = stored(p.t, to)
	p.claim.ResourceVersion = p.next()
	p.note("claim: %s", show(p.claim))
	result := p.claim
	p.mu.Unlock()
	if !p.lag {
		p.sync()
	}
	return result, nil
}

type volumePort struct{ *rig }

func (p volumePort) Get(context.Context, string) (*corev1.PersistentVolume, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.volume == nil {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "persistentvolumes"}, "pv")
	}
	return stored(p.t, p.volume), nil
}

func (p volumePort) Patch(_ context.Context, from, to *corev1.PersistentVolume) (*corev1.PersistentVolume, error) {
	if equality.Semantic.DeepEqual(from, to) {
		return from, nil
	}
	if err := p.failing("volume"); err != nil {
		p.mu.Lock()
		p.note("volume: refused")
		p.mu.Unlock()
		return nil, err
	}
	p.mu.Lock()
	if from.UID != p.volume.UID || from.ResourceVersion != p.volume.ResourceVersion {
		p.note("volume: conflict")
		p.mu.Unlock()
		return nil, conflict()
	}
	p.volume = stored(p.t, to)
	p.volume.ResourceVersion = p.next()
	p.note("volume: %s", *p.volume.Spec.VolumeAttributesClassName)
	result := p.volume
	p.mu.Unlock()
	if !p.lag {
		p.sync()
	}
	return result, nil
}

// ControllerModifyVolume is the driver.
func (r *rig) ControllerModifyVolume(_ context.Context, request *csipb.ControllerModifyVolumeRequest, options ...csi.Option) error {
	if r.atSlot != nil {
		r.atSlot()
	}
	if err := csi.Recheck(options); err != nil {
		return err
	}
	r.mu.Lock()
	var with []string
	for key, value := range request.GetMutableParameters() {
		with = append(with, key+"="+value)
	}
	slices.Sort(with)
	keys := slices.Sorted(maps.Keys(request.GetSecrets()))
	if request.GetSecrets()["password"] != password {
		keys = append(keys, "but no password")
	}
	r.note("driver: %s %s with %s", request.GetVolumeId(), strings.Join(with, " "), strings.Join(keys, ","))
	r.mu.Unlock()
	return r.failing("driver")
}

type secretPort struct{ *rig }

func (p secretPort) Get(_ context.Context, ref secrets.Ref) (secrets.Credentials, error) {
	if err := p.failing("secret"); err != nil {
		return secrets.Credentials{}, err
	}
	return secrets.NewCredentials(map[string][]byte{"username": []byte("admin"), "password": []byte(password)}), nil
}

func (p secretPort) Forget(ref secrets.Ref) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note("secret: %s forgotten", ref)
}

func (r *rig) Normal(object runtime.Object, reason, message string) {
	r.event("Normal", object, reason, message)
}

func (r *rig) Warning(object runtime.Object, reason, message string) {
	r.event("Warning", object, reason, message)
}

func (r *rig) event(kind string, object runtime.Object, reason, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if claim, ok := object.(*corev1.PersistentVolumeClaim); !ok || claim.UID != "uid-1" {
		r.t.Errorf("event about %v", object)
	}
	r.note("event: %s %s %s", kind, reason, message)
}

// show is the state of a claim in short.
func show(claim *corev1.PersistentVolumeClaim) string {
	words := []string{"cur=-"}
	if current := claim.Status.CurrentVolumeAttributesClassName; current != nil {
		words[0] = "cur=" + *current
	}
	if status := claim.Status.ModifyVolumeStatus; status != nil {
		words = append(words, fmt.Sprintf("%s=%s", status.Status, status.TargetVolumeAttributesClassName))
	}
	for _, c := range claim.Status.Conditions {
		words = append(words, strings.TrimSuffix(fmt.Sprintf("%s=%s", c.Type, c.Reason), "="))
	}
	return strings.Join(words, " ")
}

func sameLog(t testing.TB, r *rig, want ...string) {
	t.Helper()
	if got := r.taken(); !slices.Equal(got, want) {
		t.Errorf("what happened:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
