package expand_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
)

// The writes of an expansion that begins, and those that end it.
const (
	w1 = "claim ControllerResizeInProgress 6Gi<7Gi [Resizing]"
	w2 = "claim NodeResizePending 6Gi<7Gi [FileSystemResizePending]"
	w3 = "claim  7Gi<7Gi [] whole"
	w4 = "claim ControllerResizeInfeasible 6Gi<7Gi [Resizing ControllerResizeError]"
	w5 = "claim ControllerResizeInProgress 6Gi<7Gi [Resizing ControllerResizeError]"

	resizing  = "Normal Resizing"
	failed    = "Warning VolumeResizeFailed"
	called    = "expand handle to 7Gi with [password username]"
	onNode    = "Normal FileSystemResizeRequired"
	succeeded = "Normal VolumeResizeSuccessful"
)

// Three patches and two events are all that an expansion costs.
func TestExpandWithNodeStep(t *testing.T) {
	w := newWorld(t).start()
	if result := w.succeed(); result.RequeueAfter != 0 || len(result.WaitFor) != 0 {
		t.Errorf("the result is %+v, though nothing is left to be done", result)
	}
	w.expect(w1, resizing, called, "volume 7Gi was 6Gi", w2, onNode)
	w.sync()
	w.succeed()
	w.expect()
}

func TestExpandWithoutNodeStep(t *testing.T) {
	w := newWorld(t)
	w.answer(7*gi, false)
	w.start()
	w.succeed()
	w.expect(w1, resizing, called, "volume 7Gi", w3, succeeded)
	w.sync()
	w.succeed()
	w.expect()
}

func TestExpandTakesTheDriversSize(t *testing.T) {
	w := newWorld(t)
	w.answer(8*gi, false)
	w.start()
	w.succeed()
	w.expect(w1, resizing, called, "volume 8Gi", "claim  8Gi<8Gi [] whole", succeeded)
}

func TestExpandOnTheNodeOnly(t *testing.T) {
	w := newWorld(t)
	w.config.Capabilities = capability.Set{NodeExpand: true}
	w.secretErr = missing("secrets", "credentials") // It is not needed.
	w.start()
	w.succeed()
	w.expect(w1, resizing, "volume 7Gi was 6Gi", w2, onNode)
}

func TestExpandTheOldWay(t *testing.T) {
	w := newWorld(t)
	w.config.Options.RecoverVolumeExpansionFailure = false
	w.start()
	w.succeed()
	w.expect("claim  6Gi<0 [Resizing]", resizing, called, "volume 7Gi was 6Gi", "claim  6Gi<0 [FileSystemResizePending]", onNode)
}

func TestRequest(t *testing.T) {
	w := newWorld(t)
	var got *csipb.ControllerExpandVolumeRequest
	w.expand = func(request *csipb.ControllerExpandVolumeRequest) (*csipb.ControllerExpandVolumeResponse, error) {
		got = request
		return &csipb.ControllerExpandVolumeResponse{CapacityBytes: 7 * gi}, nil
	}
	w.start()
	w.succeed()
	want := &csipb.ControllerExpandVolumeRequest{
		VolumeId:      "handle",
		CapacityRange: &csipb.CapacityRange{RequiredBytes: 7516192768},
		Secrets:       map[string]string{"username": "admin", "password": password},
		VolumeCapability: &csipb.VolumeCapability{
			AccessType: &csipb.VolumeCapability_Mount{Mount: &csipb.VolumeCapability_MountVolume{}},
			AccessMode: &csipb.VolumeCapability_AccessMode{Mode: csipb.VolumeCapability_AccessMode_SINGLE_NODE_WRITER},
		},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("the request (-want +got):\n%s", diff)
	}
	if len(w.forgotten) != 0 {
		t.Errorf("the secret %v is forgotten, though the driver has taken it", w.forgotten)
	}
}

func TestExpandWithoutSecret(t *testing.T) {
	w := newWorld(t)
	w.volume.Spec.CSI.ControllerExpandSecretRef = nil
	w.secretErr = missing("secrets", "credentials") // It is not needed.
	w.start()
	w.succeed()
	w.expect(w1, resizing, "expand handle to 7Gi with []", "volume 7Gi was 6Gi without secret", w2, onNode)
}

// Expand, modify, provision and delete of one volume take turns.
func TestExpandHoldsTheVolume(t *testing.T) {
	w := newWorld(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	w.expand = func(*csipb.ControllerExpandVolumeRequest) (*csipb.ControllerExpandVolumeResponse, error) {
		if _, err := w.locks.Lock(ended, "claim-1"); err == nil {
			t.Error("another controller may touch the volume while the driver expands it")
		}
		return &csipb.ControllerExpandVolumeResponse{CapacityBytes: 7 * gi}, nil
	}
	w.start()
	w.succeed()
	if unlock, err := w.locks.Lock(t.Context(), "claim-1"); err != nil {
		t.Error(err)
	} else {
		unlock()
	}
}

func TestNothingToDo(t *testing.T) {
	for name, change := range map[string]func(*world){
		"not bound":                   func(w *world) { w.claim.Spec.VolumeName = "" },
		"big enough":                  func(w *world) { w.claim.Status.Capacity = sized("7Gi") },
		"another driver's volume":     func(w *world) { w.volume.Spec.CSI.Driver = "other.example" },
		"being deleted":               func(w *world) { w.claim.DeletionTimestamp = &metav1.Time{Time: w.clock.Now()} },
		"gone":                        func(w *world) { w.claim = nil },
		"replaced by another":         func(w *world) { w.claim.UID = "claim-2" },
		"another driver's, annotated": func(w *world) { w.volume.Spec.CSI.Driver = "other.example"; annotated(w) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			change(w)
			w.start()
			if result := w.succeed(); result.RequeueAfter != 0 || len(result.WaitFor) != 0 {
				t.Errorf("the result is %+v", result)
			}
			w.expect()
		})
	}
}

func TestExpandWaitsForTheVolume(t *testing.T) {
	for name, before := range map[string]func(*world){
		"not there":       func(w *world) { w.volume = nil },
		"not bound yet":   func(w *world) { w.anotherVolume(func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil }) },
		"another claim's": func(w *world) { w.anotherVolume(func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "claim-2" }) },
	} {
		t.Run(name, func(t *testing.T) { waitForVolume(t, before) })
	}
}

func waitForVolume(t *testing.T, before func(*world)) {
	w := newWorld(t)
	volume := w.volume
	before(w)
	w.start()
	if got, want := w.succeed().WaitFor, []controller.Dependency{controller.VolumeChanged("pvc-1")}; !slices.Equal(got, want) {
		t.Errorf("the claim waits for %v, want %v", got, want)
	}
	w.expect()
	w.volume = volume
	w.sync()
	w.succeed()
	w.expect(w1, resizing, called, "volume 7Gi was 6Gi", w2, onNode)
}

func annotated(w *world) {
	w.volume.Annotations = map[string]string{names.PreResizeCapacity: "5Gi"}
}

func TestUnannotate(t *testing.T) {
	w := newWorld(t)
	annotated(w)
	w.claim.Spec.Resources.Requests = sized("6Gi")
	w.start()
	w.succeed()
	w.expect("volume 6Gi")
	// The informer has not seen it yet.
	w.succeed()
	w.expect()
}

// Nothing else would have the claim looked at again: the user has asked for more
// while the node was at work.
func TestUnannotateThenExpand(t *testing.T) {
	w := newWorld(t)
	annotated(w)
	w.start()
	w.succeed()
	w.expect("volume 6Gi", w1, resizing, called, "volume 7Gi was 6Gi", w2, onNode)
}

// class names secrets for expansions.
func class(w *world, parameters map[string]string) {
	w.t.Helper()
	err := w.shownClasses.Add(&storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: driverName, Parameters: parameters,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func controllerSecret() map[string]string {
	return map[string]string{
		"csi.storage.k8s.io/controller-expand-secret-name":      "credentials",
		"csi.storage.k8s.io/controller-expand-secret-namespace": "default",
	}
}

func TestBackfill(t *testing.T) {
	for name, test := range map[string]struct {
		asked bool
		want  []string
	}{
		"asked for": {true, []string{"volume 6Gi", w1, resizing, called, "volume 7Gi was 6Gi", w2, onNode}},
		"not asked for": {false, []string{
			w1, resizing, "expand handle to 7Gi with []", "volume 7Gi was 6Gi without secret", w2, onNode,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.config.Options.BackfillExpandSecrets = test.asked
			w.volume.Spec.CSI.ControllerExpandSecretRef = nil
			class(w, controllerSecret())
			w.start()
			w.succeed()
			w.expect(test.want...)
		})
	}
}

// A webhook may take away again what was written.
func TestBackfillThatDoesNotStay(t *testing.T) {
	w := newWorld(t)
	w.config.Options.BackfillExpandSecrets = true
	w.volume.Spec.CSI.ControllerExpandSecretRef = nil
	class(w, controllerSecret())
	w.atStored = func() { w.volume.Spec.CSI.ControllerExpandSecretRef = nil }
	w.start()
	if _, err := w.reconcile(); err == nil {
		t.Error("the volume lacks the reference that was written, and there is no error")
	}
	w.expect("volume 6Gi", failed)
}

// The kubelet will have no credentials: that is told once, when it begins.
func TestVolumeWithoutNodeSecret(t *testing.T) {
	w := newWorld(t)
	class(w, map[string]string{
		"csi.storage.k8s.io/node-expand-secret-name":      "credentials",
		"csi.storage.k8s.io/node-expand-secret-namespace": "default",
	})
	w.fail(pending())
	w.start()
	if _, err := w.reconcile(); err == nil {
		t.Fatal("there is no error")
	}
	w.expect(w1, resizing, failed, called, failed)
	if !slices.ContainsFunc(w.messages, func(m string) bool { return strings.Contains(m, "nodeExpandSecretRef") }) {
		t.Errorf("the events %q don't say what is missing", w.messages)
	}
	w.answer(7*gi, true)
	w.succeed()
	w.expect(called, "volume 7Gi was 6Gi", w2, onNode)
}

func TestSecretsAreInNoMessage(t *testing.T) {
	w := newWorld(t)
	w.answer(gi, true) // A fault of the driver.
	w.start()
	_, err := w.reconcile()
	for _, text := range append(w.messages, w.journal...) {
		if strings.Contains(text, password) {
			t.Errorf("a secret is shown in %q", text)
		}
	}
	if err == nil || strings.Contains(err.Error(), password) {
		t.Errorf("the error is %v", err)
	}
	for _, condition := range w.claim.Status.Conditions {
		if strings.Contains(condition.Message, password) {
			t.Errorf("a secret is shown in the condition %s", condition.Type)
		}
	}
	if !slices.ContainsFunc(w.claim.Status.Conditions, func(c corev1.PersistentVolumeClaimCondition) bool {
		return c.Type == corev1.PersistentVolumeClaimControllerResizeError
	}) {
		t.Error("the driver's fault is not in the claim")
	}
}
