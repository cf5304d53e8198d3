package modify_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
)

const (
	missing  = `event: Warning VolumeModifyFailed VolumeAttributesClass "bronze" does not exist: create it, or set the claim's spec.volumeAttributesClassName to another; the volume is modified as soon as it exists`
	foreign  = `event: Warning VolumeModifyFailed VolumeAttributesClass "bronze" is for CSI driver "other.csi.example", but the volume is of CSI driver "block.csi.example": set the claim's spec.volumeAttributesClassName to a class of that driver`
	canceled = `event: Normal VolumeModifyCanceled Canceled the modification of volume "pv-1": the claim no longer asks for it`
)

// TestPostponed waits for the class, and says so.
func TestPostponed(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(r *rig)
		event   string
	}{
		"missing":          {func(*rig) {}, missing},
		"of other drivers": {func(r *rig) { r.make("bronze", "other.csi.example") }, foreign},
	} {
		t.Run(name, func(t *testing.T) {
			r := asking(t)
			test.prepare(r)
			r.want("bronze")
			for _, log := range [][]string{{"claim: cur=- Pending=", test.event}, {test.event}} {
				result, err := r.reconcile()
				want := controller.Result{WaitFor: []controller.Dependency{{Kind: "VolumeAttributesClass", Name: "bronze"}}}
				if !controller.IsTerminal(err) || !cmp.Equal(result, want) {
					t.Errorf("result %+v, %v", result, err)
				}
				sameLog(t, r, log...)
			}
			r.make("bronze", driverName)
			if _, err := r.reconcile(); err != nil {
				t.Error(err)
			}
			if got := show(r.claim); got != "cur=bronze" {
				t.Errorf("the claim is %s", got)
			}
		})
	}
}

// TestPostponedConflict tells once.
func TestPostponedConflict(t *testing.T) {
	r := newRig(t)
	r.want("bronze")
	r.fail = nth("claim", 0, conflict())
	for _, log := range [][]string{{"claim: refused"}, {"claim: cur=- Pending=", missing}} {
		if _, err := r.reconcile(); err == nil {
			t.Error("no error")
		}
		sameLog(t, r, log...)
	}
}

// TestCancel takes away what the claim says of a class that it no longer asks
// for.
func TestCancel(t *testing.T) {
	r := newRig(t)
	r.want("bronze")
	_, _ = r.reconcile()
	r.taken()
	r.want("")
	r.fail = nth("claim", 1, conflict())
	if _, err := r.reconcile(); err == nil {
		t.Error("no error")
	}
	sameLog(t, r, "claim: refused")
	for _, log := range [][]string{{"claim: cur=-", canceled}, {}} {
		if result, err := r.reconcile(); err != nil || !cmp.Equal(result, controller.Result{}) {
			t.Errorf("result %+v, %v", result, err)
		}
		sameLog(t, r, log...)
	}
}

// TestRollback goes back to the class that the volume has.
func TestRollback(t *testing.T) {
	r := asking(t)
	r.fail = nth("driver", 1, status.Error(codes.InvalidArgument, "no such tier"))
	_, _ = r.reconcile()
	r.want("silver")
	_, _ = r.reconcile()
	r.taken()
	r.want("gold")
	if _, err := r.reconcile(); err != nil {
		t.Error(err)
	}
	sameLog(t, r, "claim: cur=gold InProgress=gold ModifyingVolume", began, called, "claim: cur=gold", ended)
}

// TestVolumeMissing waits for the volume, and for one that does not name the claim
// yet.
func TestVolumeMissing(t *testing.T) {
	for name, change := range map[string]func(r *rig){
		"not there":       func(r *rig) { _ = r.volumes.Delete(r.volume) },
		"not bound yet":   func(r *rig) { r.volume.Spec.ClaimRef = nil },
		"another claim's": func(r *rig) { r.volume.Spec.ClaimRef.UID = "uid-9" },
	} {
		r := asking(t)
		change(r)
		result, err := r.reconcile()
		if err != nil || !cmp.Equal(result.WaitFor, []controller.Dependency{controller.VolumeChanged("pv-1")}) {
			t.Errorf("%s: result %+v, %v", name, result, err)
		}
		sameLog(t, r)
	}
}

// broken are listers that fail, after some successes.
type broken struct {
	corelisters.PersistentVolumeClaimLister
	corelisters.PersistentVolumeLister
	storagelisters.VolumeAttributesClassLister
	claims   corelisters.PersistentVolumeClaimNamespaceLister
	volumes  corelisters.PersistentVolumeLister
	classes  storagelisters.VolumeAttributesClassLister
	what     string
	healthy  int
	readings int
}

type brokenClaims struct{ *broken }

func (b brokenClaims) PersistentVolumeClaims(string) corelisters.PersistentVolumeClaimNamespaceLister {
	return b
}

func (b brokenClaims) List(labels.Selector) ([]*corev1.PersistentVolumeClaim, error) { return nil, nil }

func (b brokenClaims) Get(name string) (*corev1.PersistentVolumeClaim, error) {
	if err := b.read("claims"); err != nil {
		return nil, err
	}
	return b.claims.Get(name)
}

type brokenVolumes struct{ *broken }

func (b brokenVolumes) List(labels.Selector) ([]*corev1.PersistentVolume, error) { return nil, nil }

func (b brokenVolumes) Get(name string) (*corev1.PersistentVolume, error) {
	if err := b.read("volumes"); err != nil {
		return nil, err
	}
	return b.volumes.Get(name)
}

type brokenClasses struct{ *broken }

func (b brokenClasses) List(labels.Selector) ([]*storagev1.VolumeAttributesClass, error) {
	return nil, nil
}

func (b brokenClasses) Get(name string) (*storagev1.VolumeAttributesClass, error) {
	if err := b.read("classes"); err != nil {
		return nil, err
	}
	return b.classes.Get(name)
}

func (b *broken) read(what string) error {
	if what != b.what {
		return nil
	}
	b.readings++
	if b.readings > b.healthy {
		return errors.New("the cache is broken")
	}
	return nil
}

// TestBrokenCaches has each reading of the caches fail: nothing is decided on
// half of the facts.
func TestBrokenCaches(t *testing.T) {
	for _, test := range []struct {
		what    string
		healthy int
		fails   codes.Code
		log     int
	}{
		{"claims", 0, codes.OK, 0}, {"volumes", 0, codes.OK, 0}, {"classes", 0, codes.OK, 0},
		// Before the call, which is withdrawn then, and after it.
		{"claims", 1, codes.OK, 2}, {"volumes", 1, codes.OK, 2}, {"classes", 1, codes.OK, 2},
		{"claims", 3, codes.OK, 3}, {"volumes", 2, codes.OK, 3},
		{"claims", 3, codes.Internal, 5},
	} {
		t.Run(fmt.Sprint(test.what, test.healthy, test.fails), func(t *testing.T) {
			r := asking(t)
			b := &broken{
				claims: r.deps.Claims.PersistentVolumeClaims("shop"), volumes: r.deps.Volumes, classes: r.deps.Classes,
				what: test.what, healthy: test.healthy,
			}
			r.deps.Claims, r.deps.Volumes, r.deps.Classes = brokenClaims{b}, brokenVolumes{b}, brokenClasses{b}
			r.restart(r.clock)
			r.fail = nth("driver", 0, status.Error(test.fails, "no"))
			r.lag = true
			if result, err := r.reconcile(); err == nil && !result.Again || controller.IsTerminal(err) {
				t.Errorf("result %+v, error %v", result, err)
			}
			if len(r.log) != test.log {
				t.Errorf("what happened: %q", r.log)
			}
		})
	}
}

// TestNothingAsked does not even look at the volume of the many claims that never
// name another class.
func TestNothingAsked(t *testing.T) {
	r := newRig(t)
	b := &broken{volumes: r.deps.Volumes, what: "volumes"}
	r.deps.Volumes = brokenVolumes{b}
	r.restart(r.clock)
	if result, err := r.reconcile(); err != nil || !cmp.Equal(result, controller.Result{}) {
		t.Errorf("result %+v, %v", result, err)
	}
}
