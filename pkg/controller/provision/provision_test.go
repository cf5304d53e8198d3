package provision

import (
	"errors"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

func TestVolumeIsMadeAndStored(t *testing.T) {
	w := newWorld(t)
	w.waitsFor(w.works(), VolumeGone(volumeName))
	w.calls("create gold")
	w.atDriver(1)
	w.said(creating, succeeded)
	w.settled()
	if diff := cmp.Diff(map[string]string{"password": password}, w.driver.secrets[0]); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	stored := w.store.volumes[volumeName]
	if stored == nil || stored.Spec.CSI.VolumeHandle != "h-"+volumeName || stored.Spec.ClaimRef.UID != claimUID {
		t.Errorf("stored is %+v", stored)
	}
}

// The informers show the PersistentVolume, and the claim bound, some time after
// it has been stored.
func TestStaleCachesMakeNoSecondVolume(t *testing.T) {
	w := newWorld(t)
	w.works()
	w.works()
	w.calls("create gold")
	w.must(w.volumes.Add(w.store.volumes[volumeName]))
	w.works()
	w.calls("create gold")
	w.setClaim(func(claim *corev1.PersistentVolumeClaim) { claim.Spec.VolumeName = volumeName })
	w.works()
	w.said(creating, succeeded)
	w.settled()
}

func TestPendingCallIsRepeatedExactly(t *testing.T) {
	for _, code := range []codes.Code{codes.DeadlineExceeded, codes.Aborted, codes.Unavailable, codes.Canceled} {
		t.Run(code.String(), func(t *testing.T) {
			w := newWorld(t)
			w.driver.answers = []answer{makesAndFailsWith(code), failsWith(code)}
			w.waitsFor(w.fails(code.String()+": no"), dependencies()...)
			// Whatever changes meanwhile.
			w.fixClass("silver")
			w.setClaim(func(claim *corev1.PersistentVolumeClaim) { claim.Annotations[names.SelectedNode] = "n2" })
			w.fails(code.String())
			w.must(w.classes.Delete(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}}))
			w.works()
			w.calls("create gold", "create gold", "create gold")
			w.sameRequests()
			w.atDriver(1)
			w.settled()
			why := failed + atCall + code.String() + ": no"
			if code == codes.Unavailable {
				why += " (waiting for the driver to reconnect)"
			}
			w.said(creating, why, why, succeeded)
		})
	}
}

// A Secret that is fixed must be used, though the request is the same.
func TestSecretIsReadForEachCall(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{failsWith(codes.Aborted)}
	w.fails()
	if w.vault.forgot != 1 {
		t.Errorf("after a failed call the Secret is forgotten %d times, want 1", w.vault.forgot)
	}
	w.vault.data = map[string][]byte{"password": []byte("changed")}
	w.works()
	if got := w.driver.secrets[1]["password"]; got != "changed" {
		t.Errorf("the second call has the password %q", got)
	}
}

func TestAmbiguousCall(t *testing.T) {
	for _, code := range []codes.Code{codes.Internal, codes.Unknown, codes.DataLoss} {
		t.Run(code.String()+", nothing changed", func(t *testing.T) {
			w := newWorld(t)
			w.driver.answers = []answer{makesAndFailsWith(code), failsWith(code)}
			w.waitsFor(w.fails(), dependencies()...)
			w.fails()
			w.works()
			w.sameRequests()
			w.atDriver(1)
			w.settled()
		})
		t.Run(code.String()+", fixed", func(t *testing.T) {
			w := newWorld(t)
			w.driver.answers = []answer{failsWith(code)}
			w.fails()
			w.fixClass("silver")
			w.works()
			w.calls("create gold", "create silver")
			w.atDriver(1)
			w.settled()
		})
		t.Run(code.String()+", but the volume was made", func(t *testing.T) {
			w := newWorld(t)
			w.driver.answers = []answer{makesAndFailsWith(code)}
			w.fails()
			w.fixClass("silver")
			w.fails("AlreadyExists")
			w.works()
			w.calls("create gold", "create silver", "create gold")
			w.atDriver(1)
			w.settled()
		})
		t.Run(code.String()+", fixed twice, but the volume was made at first", func(t *testing.T) {
			w := newWorld(t)
			w.driver.answers = []answer{makesAndFailsWith(code), failsWith(code)}
			w.fails()
			w.fixClass("silver")
			w.fails()
			w.fixClass("bronze")
			w.fails("AlreadyExists")
			w.fails("AlreadyExists")
			w.works()
			w.calls("create gold", "create silver", "create bronze", "create silver", "create gold")
			w.atDriver(1)
			w.settled()
		})
	}
}

// That the new request has failed for good says nothing of the one before it.
func TestFinalErrorOfAReplacementKeepsTheAttempt(t *testing.T) {
	for _, code := range []codes.Code{codes.InvalidArgument, codes.OutOfRange, codes.ResourceExhausted, codes.PermissionDenied} {
		t.Run(code.String(), func(t *testing.T) {
			w := newWorld(t)
			w.driver.answers = []answer{makesAndFailsWith(codes.Internal), failsWith(code)}
			w.fails()
			w.fixClass("wrong")
			w.fails(code.String())
			w.deleteClaim()
			w.works()
			w.calls("create gold", "create wrong", "create gold", removing)
			w.atDriver(0)
			w.settled()
		})
	}
}

// The planner may not know what to do with a class any more; the attempt is
// pursued all the same.
func TestAmbiguousCallOutlivesTheClass(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{makesAndFailsWith(codes.Internal)}
	w.fails()
	w.must(w.classes.Delete(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}}))
	w.works()
	w.sameRequests()
	w.atDriver(1)
	w.settled()
}

func TestFinalErrorEndsTheAttempt(t *testing.T) {
	for _, code := range []codes.Code{
		codes.NotFound, codes.AlreadyExists, codes.PermissionDenied, codes.FailedPrecondition, codes.OutOfRange,
		codes.Unimplemented, codes.Unauthenticated, codes.ResourceExhausted, codes.InvalidArgument,
	} {
		t.Run(code.String(), func(t *testing.T) {
			w := newWorld(t)
			w.driver.answers = []answer{failsWith(code), failsWith(code)}
			w.waitsFor(w.fails(), dependencies()...)
			w.idle()
			// The next one is a new one.
			w.fixClass("silver")
			w.fails()
			w.idle()
			w.works()
			w.calls("create gold", "create silver", "create silver")
			w.settled()
			if code == codes.InvalidArgument {
				return // it has a test of its own
			}
			why := failed + atCall + code.String() + ": no"
			w.said(creating, why, why, succeeded)
		})
	}
}

func TestInfeasibleRequestIsDelayed(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{failsWith(codes.InvalidArgument)}
	result, err := w.reconcile()
	if !controller.IsTerminal(err) || result.RequeueAfter != infeasible {
		t.Errorf("Reconcile = %+v, %v, want a terminal error and a look after %s", result, err, infeasible)
	}
	w.waitsFor(result, dependencies()...)
	w.said(creating, failed+atCall+"InvalidArgument: no: the driver calls the request invalid, so it is tried again in 5m0s only, or when the claim or one of its classes changes")
	w.idle()
}

func selectNode(node string) func(*corev1.PersistentVolumeClaim) {
	return func(claim *corev1.PersistentVolumeClaim) { claim.Annotations[names.SelectedNode] = node }
}

func TestExhaustedResources(t *testing.T) {
	t.Run("with a selected node", func(t *testing.T) {
		w := newWorld(t)
		w.setClaim(selectNode("n1"))
		w.driver.answers = []answer{failsWith(codes.ResourceExhausted)}
		w.waitsFor(w.works())
		if diff := cmp.Diff([]string{"n1"}, w.rescheduled); diff != "" {
			t.Errorf("rescheduled (-want +got):\n%s", diff)
		}
		w.said(creating, failed+atCall+"ResourceExhausted: no: another node is asked for")
		w.idle()
		w.setClaim(selectNode("n2"))
		w.works()
		w.atDriver(1)
		w.settled()
	})
	t.Run("without one", func(t *testing.T) {
		w := newWorld(t)
		w.driver.answers = []answer{failsWith(codes.ResourceExhausted)}
		w.waitsFor(w.fails("ResourceExhausted"), dependencies()...)
		if len(w.rescheduled) > 0 {
			t.Error("the claim is rescheduled")
		}
		w.said(creating, failed+atCall+"ResourceExhausted: no")
		w.idle()
	})
	t.Run("but rescheduling fails", func(t *testing.T) {
		w := newWorld(t)
		w.setClaim(selectNode("n1"))
		w.rescheduleErr = errors.New("conflict")
		w.driver.answers = []answer{failsWith(codes.ResourceExhausted)}
		w.waitsFor(w.fails("ResourceExhausted", "conflict"), append(dependencies(), NodeChanged("n1"))...)
		w.idle()
	})
}

func TestSelectedNodeThatIsGone(t *testing.T) {
	w := newWorld(t)
	w.setClass(func(class *storagev1.StorageClass) {
		late := storagev1.VolumeBindingWaitForFirstConsumer
		class.VolumeBindingMode = &late
	})
	w.setClaim(selectNode("gone"))
	w.works()
	if diff := cmp.Diff([]string{"gone"}, w.rescheduled); diff != "" {
		t.Errorf("rescheduled (-want +got):\n%s", diff)
	}
	w.calls()
	w.settled()
}

func TestStoringIsRetriedAlone(t *testing.T) {
	w := newWorld(t)
	away := errors.New("the API server is away")
	w.store.errs = []error{away, away}
	w.waitsFor(w.fails("the API server is away"), dependencies()...)
	w.fixClass("silver")
	w.fails()
	w.works()
	w.calls("create gold")
	if w.store.writes != 3 {
		t.Errorf("the volume is written %d times, want 3", w.store.writes)
	}
	w.atDriver(1)
	w.said(creating, failed+away.Error(), failed+away.Error(), succeeded)
	w.settled()
}

func TestProvisioningIsMeasured(t *testing.T) {
	// The duration begins with the call that has made the volume, and ends when
	// it is stored.
	w := newWorld(t)
	w.store.errs = []error{errors.New("away")}
	w.fails()
	if current := w.c.claims.records[claimUID]; !current.started.Equal(w.clock.Now()) {
		t.Errorf("the attempt has begun at %s, want %s", current.started, w.clock.Now())
	}
	before := w.clock.Now()
	w.clock.SetTime(before.Add(time.Minute))
	w.store.errs = []error{errors.New("away")}
	w.fails()
	if current := w.c.claims.records[claimUID]; !current.started.Equal(before) {
		t.Errorf("another try has moved the beginning to %s", current.started)
	}
}

func TestUselessVolumesAreDeleted(t *testing.T) {
	short := answer{change: func(r *csipb.CreateVolumeResponse) { r.Volume.CapacityBytes = gib - 1 }}
	cases := map[string]struct {
		answer answer
		err    error // of the store
		want   string
	}{
		"too small":                  {short, nil, "the CSI driver created a volume of 1073741823 bytes where 1073741824 were requested"},
		"refused by the API server":  {answer{}, refused(), "invalid"},
		"taken, with another handle": {answer{}, taken("other"), "exists already"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.driver.answers, w.store.errs = []answer{c.answer}, []error{c.err}
			w.waitsFor(w.fails(c.want), dependencies()...)
			w.calls("create gold", removing)
			w.atDriver(0)
			w.idle()
			if got := w.driver.secrets[1]["password"]; got != password {
				t.Errorf("DeleteVolume has the password %q", got)
			}
			w.works() // The next one is as it should be.
			w.atDriver(1)
			w.settled()
		})
		t.Run(name+", and can't be deleted at once", func(t *testing.T) {
			w := newWorld(t)
			w.driver.answers, w.store.errs = []answer{c.answer}, []error{c.err}
			w.driver.deletions = []error{status.Error(codes.Internal, "busy"), status.Error(codes.Internal, "busy")}
			w.fails(c.want, "deleting the useless volume", "Internal: busy")
			w.fails("deleting the useless volume", "Internal: busy")
			w.calls("create gold", removing, removing)
			// What is made next must not be the one that is to go.
			w.works()
			w.calls("create gold", removing, removing, removing, "create gold")
			w.atDriver(1)
			w.settled()
		})
		t.Run(name+", and is gone already", func(t *testing.T) {
			w := newWorld(t)
			w.driver.answers, w.store.errs = []answer{c.answer}, []error{c.err}
			w.driver.deletions = []error{status.Error(codes.NotFound, "gone")}
			w.fails(c.want)
			w.idle()
		})
	}
}

// Two claims may get the same volume name; the driver then returns the one
// volume for both.
func TestVolumeOfAnotherIsNotDeleted(t *testing.T) {
	w := newWorld(t)
	w.store.errs = []error{taken("h-" + volumeName)}
	w.fails("exists already", "--volume-name-uuid-length")
	w.calls("create gold")
	w.atDriver(1)
	w.idle()
	w.deleteClaim()
	w.works()
	w.atDriver(1)
	w.settled()
}

// A claim whose volume's name is another claim's is told so, wherever that is seen
// first, and goes on when the name is free.
func TestNameOfAnothersVolume(t *testing.T) {
	others := func(claim types.UID) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: volumeName},
			Spec:       corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{Namespace: "ns", Name: "other", UID: claim}},
		}
	}
	says := []string{`"` + volumeName + `" exists already and belongs to claim ns/other`}
	w := newWorld(t)
	w.store.errs = []error{&kube.TakenError{Volume: others("other")}}
	w.fails(says...)
	w.calls("create gold", removing)
	w.atDriver(0)
	w.must(w.volumes.Add(others("other")))
	w.fails(append(says, "--volume-name-uuid-length")...)
	w.atDriver(0)
	w.must(w.volumes.Delete(others("other")))
	w.works()
	w.calls("create gold", removing, "create gold")

	// One that an administrator has made for the claim, by its name, is no other's.
	w = newWorld(t)
	w.must(w.volumes.Add(others("")))
	w.works()
	w.calls()
}

func TestResponseWithoutAVolume(t *testing.T) {
	for name, change := range map[string]func(*csipb.CreateVolumeResponse){
		"no volume":    func(r *csipb.CreateVolumeResponse) { r.Volume = nil },
		"no volume_id": func(r *csipb.CreateVolumeResponse) { r.Volume.VolumeId = "" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.driver.answers = []answer{{change: change}}
			w.fails("without a volume")
			if len(w.store.volumes) > 0 {
				t.Errorf("stored is %v", w.store.volumes)
			}
			// There may be one, so it is not forgotten.
			w.deleteClaim()
			w.works()
			w.calls("create gold", "create gold", removing)
			w.atDriver(0)
			w.settled()
		})
	}
}

func TestMissingSecret(t *testing.T) {
	for name, err := range map[string]error{"missing": missing(), "unreadable": unreadable()} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.vault.err = err
			w.waitsFor(w.fails("getting the secret for CreateVolume and DeleteVolume: ", err.Error()), dependencies()...)
			w.calls()
			w.settled()
			w.said(failed + "getting the secret for CreateVolume and DeleteVolume: " + err.Error())
			w.vault.err = nil
			w.works()
			w.atDriver(1)
			w.settled()
		})
	}
}

func TestNoSecretIsRead(t *testing.T) {
	w := newWorld(t)
	w.setClass(func(class *storagev1.StorageClass) { class.Parameters = nil })
	w.vault.err = errors.New("nobody asked for it")
	w.works()
	if w.driver.secrets[0] != nil {
		t.Errorf("the driver got the secrets %v", w.driver.secrets[0])
	}
}

func TestClassIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.must(w.classes.Delete(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}}))
	w.waitsFor(w.fails(`StorageClass "fast" does not exist`), dependencies()...)
	w.calls()
	w.setClass(nil)
	w.works()
	w.atDriver(1)
}

func TestClaimsThatAreNotToBeProvisioned(t *testing.T) {
	stamp := metav1.Unix(1_700_000_000, 0)
	for name, change := range map[string]func(*corev1.PersistentVolumeClaim){
		"another driver's": func(c *corev1.PersistentVolumeClaim) { c.Annotations[names.StorageProvisioner] = "other.example" },
		"bound":            func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = volumeName },
		"terminating":      func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &stamp },
		"replaced":         func(c *corev1.PersistentVolumeClaim) { c.UID = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.setClaim(change)
			w.waitsFor(w.works())
			w.calls()
			w.said()
			w.settled()
		})
	}
}

func TestClaimOfAPopulator(t *testing.T) {
	w := newWorld(t)
	w.setClaim(func(c *corev1.PersistentVolumeClaim) {
		group := "populators.example"
		c.Spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: &group, Kind: "Backup", Name: "b"}
	})
	w.works()
	w.works()
	w.calls()
	if len(w.events.all) != 1 {
		t.Errorf("events: %q, want one", w.events.all)
	}
}

// A call that has not been made, because the program stops, is no failure that
// anybody has to know of.
func TestStoppingIsNotReported(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{{err: csi.ErrStopping}}
	if _, err := w.reconcile(); !errors.Is(err, csi.ErrStopping) {
		t.Errorf("Reconcile: error %v, want %v", err, csi.ErrStopping)
	}
	w.said(creating)
}
