package deletion_test

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
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/controller/deletion"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

const (
	driverName = "block.csi.example"
	password   = "t0p-Secret"
	pause      = 5 * time.Minute
)

// world is a controller, and the cluster and the driver around it. It implements
// all ports of the controller but the listers.
type world struct {
	t       *testing.T
	subject *deletion.Controller
	deps    deletion.Deps
	config  deletion.Config

	// volumes and classes are what the informers show.
	volumes, classes cache.Indexer
	attachedTo       []string

	// fail are the errors of the ports, by the first word of the call.
	fail map[string]error
	// waits are what happens while the controller waits for something: for "settle", the
	// "slot", or the answer to a call, by its first word.
	waits map[string]func()
	// calls are those to the driver and the API server, in order.
	calls []string
	// settled are the claims whose creation had to have come to its end.
	settled []types.UID
	events  []string
	// errors are those that Reconcile has returned.
	errors []string
	// credentials are those of the last DeleteVolume.
	credentials map[string]string
	// migrated tells whether it counted as one for an in-tree volume.
	migrated bool
	clock    *clocktesting.FakePassiveClock
}

// newWorld has one volume, pv-1, as newVolume makes it, but for the changes.
func newWorld(t *testing.T, change func(*corev1.PersistentVolume)) *world {
	t.Helper()
	w := &world{
		t: t, fail: map[string]error{},
		clock:   clocktesting.NewFakePassiveClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
		volumes: cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil),
		classes: cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil),
	}
	w.config = deletion.Config{
		Driver: driverName, AttachedRetry: pause,
		Capabilities: capability.Set{ControllerService: true, CreateDelete: true, PublishUnpublish: true},
	}
	w.deps = deletion.Deps{
		Volumes:     corelisters.NewPersistentVolumeLister(w.volumes),
		Classes:     storagelisters.NewStorageClassLister(w.classes),
		Attachments: w, Handles: w, InTree: kube.NewInTree(driverName), Driver: w, Secrets: w, Store: w, Journal: w, Events: w,
		Metrics: metrics.New().Volumes, Locks: &controller.VolumeLocks{},
		Clock: w.clock,
	}
	w.subject = deletion.New(w.deps, w.config)
	volume := newVolume()
	if change != nil {
		change(volume)
	}
	w.put(w.volumes, volume)
	t.Cleanup(w.checkSecrecy)
	return w
}

// Holders implements deletion.Handles: what the informer shows.
func (w *world) Holders(handle string) ([]*corev1.PersistentVolume, error) {
	var holders []*corev1.PersistentVolume
	for _, object := range w.volumes.List() {
		if volume := object.(*corev1.PersistentVolume); volume.Spec.CSI != nil && volume.Spec.CSI.VolumeHandle == handle {
			holders = append(holders, volume)
		}
	}
	return holders, w.fail["holders"]
}

// newVolume is due: released, to be deleted, and it has the finalizer and a
// Secret.
func newVolume() *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name: "pv-1", UID: "uid-1", Finalizers: []string{names.VolumeFinalizer},
			Annotations: map[string]string{
				names.ProvisionedBy:      driverName,
				names.DeletionSecretName: "admin", names.DeletionSecretNamespace: "vault",
			},
		},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName:              "fast",
			ClaimRef:                      &corev1.ObjectReference{Namespace: "team-a", Name: "data", UID: "claim-1"},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: driverName, VolumeHandle: "h-1"},
			},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeReleased},
	}
}

func bound(v *corev1.PersistentVolume)       { v.Status.Phase = corev1.VolumeBound }
func unprotected(v *corev1.PersistentVolume) { v.Finalizers = []string{"example.com/other"} }
func terminating(v *corev1.PersistentVolume) { v.DeletionTimestamp = &metav1.Time{} }
func retained(v *corev1.PersistentVolume) {
	v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
}

func (w *world) put(indexer cache.Indexer, object any) {
	w.t.Helper()
	if err := indexer.Update(object); err != nil {
		w.t.Fatal(err)
	}
}

// addClass has a class whose Secret is named after the volume.
func (w *world) addClass(parameters map[string]string) {
	w.put(w.classes, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: driverName, Parameters: parameters,
	})
}

func (w *world) reconcile() (controller.Result, error) {
	result, err := w.subject.Reconcile(w.t.Context(), "pv-1")
	if err != nil {
		w.errors = append(w.errors, err.Error())
	}
	return result, err
}

// succeed reconciles the volume, which must have no consequences for the queue.
func (w *world) succeed() {
	w.t.Helper()
	result, err := w.reconcile()
	if diff := cmp.Diff(controller.Result{}, result); err != nil || diff != "" {
		w.t.Errorf("the error is %v, the result (-want +got):\n%s", err, diff)
	}
}

// failing reconciles the volume, which must fail with that message and wait for
// the driver, and others.
func (w *world) failing(message string, others ...controller.Dependency) {
	w.t.Helper()
	result, err := w.reconcile()
	if err == nil || err.Error() != message || controller.IsTerminal(err) {
		w.t.Errorf("the error is %v (terminal: %t), want %q", err, controller.IsTerminal(err), message)
	}
	want := controller.Result{WaitFor: append(others, controller.DriverReconnected())}
	if diff := cmp.Diff(want, result); diff != "" {
		w.t.Errorf("result (-want +got):\n%s", diff)
	}
}

func (w *world) expectCalls(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.calls); diff != "" {
		w.t.Errorf("calls (-want +got):\n%s", diff)
	}
	w.calls = nil
}

// expectWarnings compares the messages of the events, which must all be warnings
// of a failed deletion of the volume.
func (w *world) expectWarnings(messages ...string) {
	w.t.Helper()
	var want []string
	for _, message := range messages {
		want = append(want, "pv-1 VolumeFailedDelete "+message)
	}
	if diff := cmp.Diff(want, w.events); diff != "" {
		w.t.Errorf("events (-want +got):\n%s", diff)
	}
	w.events = nil
}

func (w *world) checkSecrecy() {
	for _, line := range slices.Concat(w.errors, w.events) {
		if strings.Contains(line, password) {
			w.t.Errorf("the secret's value is in %q", line)
		}
	}
}

func (w *world) wait(what string) {
	if happens := w.waits[what]; happens != nil {
		happens()
	}
}

func (w *world) call(words ...string) error {
	w.calls = append(w.calls, strings.Join(words, " "))
	w.wait(words[0])
	return w.fail[words[0]]
}

// CreateVolume is none of the controller's business.
func (w *world) CreateVolume(context.Context, *csipb.CreateVolumeRequest, ...csi.Option) (*csipb.CreateVolumeResponse, error) {
	return nil, errors.Join(errors.New("a volume is created"), w.call("CreateVolume"))
}

func (w *world) DeleteVolume(ctx context.Context, request *csipb.DeleteVolumeRequest, options ...csi.Option) error {
	w.wait("slot")
	if err := csi.Recheck(options); err != nil {
		return err
	}
	w.migrated = csi.IsForMigrated(ctx)
	w.credentials = request.GetSecrets()
	return w.call("DeleteVolume", request.GetVolumeId())
}

func (w *world) AddFinalizer(_ context.Context, volume *corev1.PersistentVolume) error {
	return w.call("AddFinalizer", volume.Name)
}

func (w *world) RemoveFinalizer(_ context.Context, volume *corev1.PersistentVolume) error {
	return w.call("RemoveFinalizer", volume.Name)
}

func (w *world) Delete(_ context.Context, name string, uid types.UID) error {
	return w.call("Delete", name, string(uid))
}

func (w *world) AttachedTo(volume string) ([]string, error) {
	if volume != "pv-1" {
		return nil, fmt.Errorf("asked for the attachments of %q", volume)
	}
	return w.attachedTo, w.fail["AttachedTo"]
}

func (w *world) Get(_ context.Context, ref secrets.Ref) (secrets.Credentials, error) {
	if err := w.call("Secret", ref.String()); err != nil {
		return secrets.Credentials{}, err
	}
	return secrets.NewCredentials(map[string][]byte{"password": []byte(password)}), nil
}

// Forget implements SecretReader.
func (w *world) Forget(ref secrets.Ref) { _ = w.call("Forget", ref.String()) }

// Normal implements kube.EventSender: this controller has no good news.
func (w *world) Normal(_ runtime.Object, reason, message string) {
	w.t.Errorf("the event %s is sent: %s", reason, message)
}

// Warning implements EventSender.
func (w *world) Warning(object runtime.Object, reason, message string) {
	volume, ok := object.(*corev1.PersistentVolume)
	if !ok {
		w.t.Errorf("an event is about a %T", object)
		return
	}
	w.events = append(w.events, fmt.Sprintf("%s %s %s", volume.Name, reason, message))
}

// Settle implements Journal.
func (w *world) Settle(_ context.Context, claim types.UID) error {
	w.settled = append(w.settled, claim)
	w.wait("settle")
	return w.fail["Settle"]
}
