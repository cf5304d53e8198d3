package provision

import (
	"errors"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// TestVouch: of a record that nobody has signed counts what the claim and its class
// confirm, and nothing else.
func TestVouch(t *testing.T) {
	request := func(change func(*csipb.CreateVolumeRequest)) func(*world, *journal.Intent) {
		return func(_ *world, intent *journal.Intent) {
			changed := *intent.Plans[0]
			changed.Request = proto.CloneOf(changed.Request)
			change(changed.Request)
			intent.Plans = []*plan.Plan{&changed}
		}
	}
	volume := func(change func(*corev1.PersistentVolume)) func(*world, *journal.Intent) {
		return func(_ *world, intent *journal.Intent) {
			changed := *intent.Plans[0]
			changed.Volume = changed.Volume.DeepCopy()
			change(changed.Volume)
			intent.Plans = []*plan.Plan{&changed}
		}
	}
	for name, c := range map[string]struct {
		change  func(*world, *journal.Intent)
		want    string
		partial bool
	}{
		"as recorded": {func(*world, *journal.Intent) {}, "", false},
		"the claim is bound": {func(w *world, _ *journal.Intent) {
			w.setClaim(func(claim *corev1.PersistentVolumeClaim) { claim.Spec.VolumeName = volumeName })
		}, "", false},
		"other places": {request(func(r *csipb.CreateVolumeRequest) {
			r.AccessibilityRequirements = &csipb.TopologyRequirement{Requisite: []*csipb.Topology{{Segments: map[string]string{"zone": "far"}}}}
		}), "", true},
		"the name of another volume": {request(func(r *csipb.CreateVolumeRequest) { r.Name = "pvc-of-another-claim" }), "another volume than the record", false},
		"other parameters":           {request(func(r *csipb.CreateVolumeRequest) { r.Parameters["tier"] = "gold-plated" }), "another volume than the record", false},
		"another snapshot": {request(func(r *csipb.CreateVolumeRequest) {
			r.VolumeContentSource = &csipb.VolumeContentSource{Type: &csipb.VolumeContentSource_Snapshot{Snapshot: &csipb.VolumeContentSource_SnapshotSource{SnapshotId: "stolen"}}}
		}), "another volume than the record", false},
		"another Secret": {func(_ *world, intent *journal.Intent) {
			changed := *intent.Plans[0]
			changed.Secret = &secrets.Ref{Namespace: "kube-system", Name: "admin"}
			intent.Plans = []*plan.Plan{&changed}
		}, "another volume than the record", false},
		"another claimRef": {volume(func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.UID = "another" }), "another volume than the record", false},
		"another policy":   {volume(func(v *corev1.PersistentVolume) { v.Spec.PersistentVolumeReclaimPolicy = "Retain" }), "another volume than the record", false},
		"a second request": {func(_ *world, intent *journal.Intent) {
			intent.Plans = append(intent.Plans, &plan.Plan{Request: &csipb.CreateVolumeRequest{Name: "pvc-of-another-claim"}, Volume: &corev1.PersistentVolume{}})
		}, "another volume than the record", false},
		"the claim is gone":    {func(w *world, _ *journal.Intent) { w.deleteClaim() }, "its claim does not exist", false},
		"another claim's UID":  {func(_ *world, intent *journal.Intent) { intent.Claim.UID = "another" }, "its claim does not exist", false},
		"the class is gone":    {func(w *world, _ *journal.Intent) { w.must(w.classes.Delete(w.classes.List()[0])) }, "does not exist", false},
		"the class is changed": {func(w *world, _ *journal.Intent) { w.fixClass("silver") }, "another volume than the record", false},
		"bound to another volume": {func(w *world, _ *journal.Intent) {
			w.setClaim(func(claim *corev1.PersistentVolumeClaim) { claim.Spec.VolumeName = "static" })
		}, "it has another volume", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.driver.answers = []answer{makesAndFailsWith(codes.DeadlineExceeded)}
			w.fails("DeadlineExceeded")
			intent := *w.journal.open[claimUID]
			intent.Useless = "h-of-another-claim"
			c.change(w, &intent)
			err := w.c.Vouch(t.Context(), &intent)
			switch {
			case c.want != "":
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
			case err != nil:
				t.Error(err)
			case intent.Useless != "" || intent.Partial != c.partial || len(intent.Plans) != 1:
				t.Errorf("what counts is %+v", intent)
			}
		})
	}
}

// TestClaimOf: what has become of the claim is looked at at the API server, as the cache may
// show what is gone.
func TestClaimOf(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world, *journal.Intent)
		want   journal.ClaimState
	}{
		"waits": {func(*world, *journal.Intent) {}, journal.ClaimWaits},
		"shown no more": {func(w *world, _ *journal.Intent) {
			w.deleteClaim()
			w.live = func() (*corev1.PersistentVolumeClaim, error) { return nil, errors.New("the API server is asked") }
		}, journal.ClaimGone},
		"gone, but shown": {func(w *world, _ *journal.Intent) {
			w.live = func() (*corev1.PersistentVolumeClaim, error) {
				return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "persistentvolumeclaims"}, "data")
			}
		}, journal.ClaimGone},
		"another of its name": {func(_ *world, i *journal.Intent) { i.Claim.UID = "another" }, journal.ClaimGone},
		"stored":              {func(w *world, i *journal.Intent) { w.store.volumes[i.Plans[0].Volume.Name] = i.Plans[0].Volume }, journal.ClaimStored},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.driver.answers = []answer{makesAndFailsWith(codes.DeadlineExceeded)}
			w.fails("DeadlineExceeded")
			intent := *w.journal.open[claimUID]
			c.change(w, &intent)
			if got, err := w.c.ClaimOf(t.Context(), &intent); err != nil || got != c.want {
				t.Errorf("it is %d (%v), want %d", got, err, c.want)
			}
		})
	}
}
