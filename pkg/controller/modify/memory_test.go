package modify_test

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller/modify"
	"github.com/csi-provisioner/csi-provisioner/test/tables"
)

// appear has the n-th claim and its volume take the place of the last ones.
func (r *rig) appear(n int) modify.Key {
	r.claim, r.volume = r.claim.DeepCopy(), r.volume.DeepCopy()
	r.claim.UID, r.volume.UID = types.UID(fmt.Sprint("claim-", n)), types.UID(fmt.Sprint("volume-", n))
	r.volume.Spec.ClaimRef.UID = r.claim.UID
	r.claim.Status.ModifyVolumeStatus, r.claim.Status.CurrentVolumeAttributesClassName, r.claim.Status.Conditions = nil, nil, nil
	r.claim.ResourceVersion, r.volume.ResourceVersion = r.next(), r.next()
	r.sync()
	return r.key()
}

func (r *rig) vanish() {
	claim := r.claim
	r.drop(r.claims, claim)
	r.drop(r.volumes, r.volume)
	r.subject.ClaimShown(claim)
}

// silence takes events about any claim.
type silence struct{}

func (silence) Normal(runtime.Object, string, string)  {}
func (silence) Warning(runtime.Object, string, string) {}

// Whatever becomes of a modification, and whenever claim and volume go: in the end
// nothing of them is kept.
func TestNothingIsKeptOfManyClaims(t *testing.T) {
	r := asking(t)
	r.lag = true
	r.deps.Events = silence{}
	r.restart(r.clock)
	for n := range 10_000 {
		key := r.appear(n)
		code := []codes.Code{codes.OK, codes.Internal, codes.Aborted, codes.InvalidArgument}[n%4]
		when := []string{"", "driver", "volume", "claim"}[n/4%4]
		r.fail = func(what string, _ int) error {
			if what == when {
				r.vanish()
			}
			if what == "driver" && code != codes.OK {
				return status.Error(code, "no")
			}
			return nil
		}
		_, _ = r.subject.Reconcile(t.Context(), key)
		r.vanish()
		_, _ = r.subject.Reconcile(t.Context(), key)
		r.taken()
	}
	if kept := tables.NotEmpty(r.subject, "deps", "config"); len(kept) > 0 {
		t.Errorf("kept is %q", kept)
	}
}
