package capacity_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/capacity"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/capacity"
)

const (
	driverName   = "block.csi.example"
	pollInterval = time.Minute
	retryStart   = time.Second
)

// world is a controller, with the cluster and the driver around it, in a bubble of
// synctest. It implements the ports of the controller but the lister.
type world struct {
	*capacity.Controller
	t       *testing.T
	classes cache.Indexer

	mu sync.Mutex
	// stored are the objects that the API server has, shown those that the informer
	// shows, by pair and UID.
	stored map[string]*storagev1.CSIStorageCapacity
	shown  map[string]map[types.UID]*storagev1.CSIStorageCapacity
	// behind has the informer show nothing of what is written.
	behind  bool
	version int
	// calls count what the driver was asked, by class and segment; writes are those
	// to the API server; events are those about classes.
	calls  map[string]int
	writes []string
	events []string
	// answer is the driver's.
	answer func(request *csipb.GetCapacityRequest) (*csipb.GetCapacityResponse, error)
	// fails is an error of the next write.
	fails error
}

// bubble runs a test with a controller, which begins to work with w.run.
func bubble(t *testing.T, test func(t *testing.T, w *world), changes ...func(*capacity.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, classes: cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil),
			stored: map[string]*storagev1.CSIStorageCapacity{},
			shown:  map[string]map[types.UID]*storagev1.CSIStorageCapacity{},
			calls:  map[string]int{},
		}
		w.has(10)
		config := capacity.Config{
			Settings:     plan.Settings{Driver: driverName, Topology: true, Namespace: "ns", ManagedBy: names.CapacityManager},
			PollInterval: pollInterval,
			Queue: controller.Options{
				Name: "csistoragecapacity", Workers: 4, RetryStart: retryStart, RetryMax: pollInterval, Jitter: func() float64 { return 0 },
			},
		}
		for _, change := range changes {
			change(&config)
		}
		var err error
		w.Controller, err = capacity.New(capacity.Deps{
			Classes: storagelisters.NewStorageClassLister(w.classes), Objects: w, Segments: plan.NewSegments(),
			Driver: w, Store: w, Events: w, Clock: clock.RealClock{},
		}, config)
		if err != nil {
			t.Fatal(err)
		}
		test(t, w)
	})
}

// run lets the controller work until the test ends.
func (w *world) run() {
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logr.Discard()))
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx, stop)
	}()
	w.t.Cleanup(func() {
		close(stop)
		<-done
		cancel()
	})
	synctest.Wait()
}

// pass lets time pass, and then everything come to rest.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// has the driver report that many GiB, and no maximum.
func (w *world) has(gib int64) {
	w.reports(func(*csipb.GetCapacityRequest) (*csipb.GetCapacityResponse, error) {
		return &csipb.GetCapacityResponse{AvailableCapacity: gib << 30}, nil
	})
}

func (w *world) reports(answer func(*csipb.GetCapacityRequest) (*csipb.GetCapacityResponse, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
}

// class makes a class with WaitForFirstConsumer, but for the changes.
func (w *world) class(name string, changes ...func(*storagev1.StorageClass)) *storagev1.StorageClass {
	late := storagev1.VolumeBindingWaitForFirstConsumer
	class := &storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: name, UID: types.UID("class-" + name)},
		Provisioner: driverName, VolumeBindingMode: &late, Parameters: map[string]string{"class": name},
	}
	for _, change := range changes {
		change(class)
	}
	old, _, _ := w.classes.GetByKey(name)
	if err := w.classes.Add(class); err != nil {
		w.t.Fatal(err)
	}
	before, _ := old.(*storagev1.StorageClass)
	w.ClassChanged(before, class)
	return class
}

func (w *world) removeClass(class *storagev1.StorageClass) {
	if err := w.classes.Delete(class); err != nil {
		w.t.Fatal(err)
	}
	w.ClassGone(class)
}

func bindsAtOnce(class *storagev1.StorageClass) {
	immediate := storagev1.VolumeBindingImmediate
	class.VolumeBindingMode = &immediate
}

// node makes a node in a zone with the driver on it.
func (w *world) node(name, zone string) {
	w.SetNode(name, map[string]string{"zone": zone, "host": name})
	w.SetRegistration(name, []string{"zone"}, true)
}

// object is one as external-provisioner has made it, of 10 GiB.
func object(name, class, zone string) *storagev1.CSIStorageCapacity {
	size := resource.MustParse("10Gi")
	return &storagev1.CSIStorageCapacity{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: name,
			Labels: map[string]string{names.CapacityDriver: driverName, names.CapacityManagedBy: names.CapacityManager},
		},
		StorageClassName: class, Capacity: &size,
		NodeTopology: &metav1.LabelSelector{MatchLabels: map[string]string{"zone": zone}},
	}
}

// put has somebody else make an object.
func (w *world) put(o *storagev1.CSIStorageCapacity) *storagev1.CSIStorageCapacity {
	w.mu.Lock()
	o = w.store(o)
	w.mu.Unlock()
	if w.show(o) {
		w.ObjectChanged(nil, o)
	}
	return o
}

// remove has somebody else delete an object.
func (w *world) remove(o *storagev1.CSIStorageCapacity) {
	w.mu.Lock()
	delete(w.stored, o.Name)
	w.mu.Unlock()
	w.hide(o)
}

// store writes an object as the API server does.
func (w *world) store(o *storagev1.CSIStorageCapacity) *storagev1.CSIStorageCapacity {
	w.version++
	o = o.DeepCopy()
	o.ResourceVersion = fmt.Sprint(w.version)
	if o.Name == "" {
		o.Name = o.GenerateName + fmt.Sprint(w.version)
	}
	if o.UID == "" {
		o.UID = types.UID(fmt.Sprint("uid-", w.version))
		o.CreationTimestamp = metav1.NewTime(time.Now())
	}
	w.stored[o.Name] = o
	return o
}

// show has the informer show an object, and tells whether it does.
func (w *world) show(o *storagev1.CSIStorageCapacity) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.behind || o.Labels[names.CapacityManagedBy] != names.CapacityManager {
		return false
	}
	pair := plan.KeyOf(o).String()
	if w.shown[pair] == nil {
		w.shown[pair] = map[types.UID]*storagev1.CSIStorageCapacity{}
	}
	w.shown[pair][o.UID] = o
	return true
}

func (w *world) hide(o *storagev1.CSIStorageCapacity) {
	w.mu.Lock()
	delete(w.shown[plan.KeyOf(o).String()], o.UID)
	w.mu.Unlock()
	w.ObjectGone(o)
}

// CapacitiesFor and AllCapacities are those of the informer.
func (w *world) CapacitiesFor(pair string) ([]*storagev1.CSIStorageCapacity, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []*storagev1.CSIStorageCapacity
	for _, o := range w.shown[pair] {
		found = append(found, o)
	}
	return found, nil
}

func (w *world) AllCapacities() []*storagev1.CSIStorageCapacity {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []*storagev1.CSIStorageCapacity
	for _, objects := range w.shown {
		for _, o := range objects {
			found = append(found, o)
		}
	}
	return found
}

// GetCapacity is the driver's.
func (w *world) GetCapacity(_ context.Context, request *csipb.GetCapacityRequest, _ ...csi.Option) (*csipb.GetCapacityResponse, error) {
	w.mu.Lock()
	w.calls[request.GetParameters()["class"]+"/"+request.GetAccessibleTopology().GetSegments()["zone"]]++
	answer := w.answer
	w.mu.Unlock()
	return answer(request)
}

func resourceOf() schema.GroupResource {
	return schema.GroupResource{Group: "storage.k8s.io", Resource: "csistoragecapacities"}
}

// write notes a write, and returns the error that it shall have.
func (w *world) write(what, name string) error {
	w.writes = append(w.writes, what+" "+name)
	err := w.fails
	w.fails = nil
	return err
}

func (w *world) Get(_ context.Context, namespace, name string) (*storagev1.CSIStorageCapacity, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o, ok := w.stored[name]
	if !ok || namespace != "ns" {
		return nil, apierrors.NewNotFound(resourceOf(), name)
	}
	return o.DeepCopy(), nil
}

func (w *world) Create(_ context.Context, o *storagev1.CSIStorageCapacity) error {
	w.mu.Lock()
	err := w.write("create", plan.KeyOf(o).String())
	if _, taken := w.stored[o.Name]; taken && err == nil {
		err = apierrors.NewAlreadyExists(resourceOf(), o.Name)
	}
	if err != nil {
		w.mu.Unlock()
		return err
	}
	o = w.store(o)
	w.mu.Unlock()
	if w.show(o) {
		w.ObjectChanged(nil, o)
	}
	return nil
}

func (w *world) Patch(_ context.Context, from, to *storagev1.CSIStorageCapacity) (*storagev1.CSIStorageCapacity, error) {
	w.mu.Lock()
	err := w.write("patch", plan.KeyOf(to).String())
	if now := w.stored[from.Name]; err == nil && (now == nil || now.ResourceVersion != from.ResourceVersion) {
		err = apierrors.NewConflict(resourceOf(), from.Name, errors.New("it has changed"))
	}
	if err != nil {
		w.mu.Unlock()
		return nil, err
	}
	o := w.store(to)
	w.mu.Unlock()
	if w.show(o) {
		w.ObjectChanged(from, o)
	}
	return o.DeepCopy(), nil
}

func (w *world) Delete(_ context.Context, o *storagev1.CSIStorageCapacity) error {
	w.mu.Lock()
	err := w.write("delete", o.Name)
	if err == nil {
		delete(w.stored, o.Name)
	}
	w.mu.Unlock()
	if err == nil {
		w.hide(o)
	}
	return err
}

// Warning takes the controller's events.
// Normal implements kube.EventSender: this controller has no good news.
func (w *world) Normal(_ runtime.Object, reason, message string) {
	w.t.Errorf("the event %s is sent: %s", reason, message)
}

func (w *world) Warning(object runtime.Object, reason, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	class, ok := object.(*storagev1.StorageClass)
	if !ok || reason != names.ReasonStorageCapacityFailed {
		w.t.Errorf("there is an event %s about %v", reason, object)
		return
	}
	w.events = append(w.events, class.Name+": "+message)
}

// expect compares the numbers of calls and writes since the last time.
func (w *world) expect(when string, calls, writes int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	sum := 0
	for _, n := range w.calls {
		sum += n
	}
	if sum != calls || len(w.writes) != writes {
		w.t.Errorf("%s: %d calls and %d writes, want %d and %d (%v)", when, sum, len(w.writes), calls, writes, w.writes[:min(5, len(w.writes))])
	}
	clear(w.calls)
	w.writes = nil
}

// state is what the API server has, as pair=capacity, in order.
func (w *world) state() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, o := range w.stored {
		all = append(all, plan.KeyOf(o).String()+":"+o.Capacity.String())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func (w *world) expectState(when, want string) {
	w.t.Helper()
	if got := w.state(); got != want {
		w.t.Errorf("%s: there is %q, want %q", when, got, want)
	}
}

// volume is one of the driver's in a zone, or everywhere.
func volume(zone string) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{
		StorageClassName:       "fast",
		Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driverName}},
	}}
	if zone != "" {
		v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}},
		}}}}
	}
	return v
}
