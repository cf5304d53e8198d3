package expand_test

import (
	"fmt"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller/expand"
	"github.com/csi-provisioner/csi-provisioner/test/tables"
)

// appear has the n-th claim and its volume take the place of the last ones.
func (w *world) appear(n int) expand.Key {
	claim, volume := newClaim(), newVolume()
	claim.UID, volume.UID = types.UID(fmt.Sprint("claim-", n)), types.UID(fmt.Sprint("volume-", n))
	volume.Spec.ClaimRef.UID = claim.UID
	claim.ResourceVersion, volume.ResourceVersion = w.next(), w.next()
	w.claim, w.volume = claim, volume
	w.sync()
	return expand.KeyOf(claim)
}

func (w *world) vanish() {
	w.claim, w.volume = nil, nil
	w.sync()
}

// Whatever becomes of an expansion, and whenever claim and volume go: in the end nothing
// of them is kept.
func TestNothingIsKeptOfManyClaims(t *testing.T) {
	w := newWorld(t).start()
	for n := range 10_000 {
		key := w.appear(n)
		code := []codes.Code{codes.OK, codes.FailedPrecondition, codes.Unavailable, codes.OutOfRange}[n%4]
		when := n / 4 % 5 // 0: in the end; 1: during the call; n: after the (n-1)th write
		w.expand = func(*csipb.ControllerExpandVolumeRequest) (*csipb.ControllerExpandVolumeResponse, error) {
			if when == 1 {
				w.vanish()
			}
			return &csipb.ControllerExpandVolumeResponse{CapacityBytes: 7 * gi, NodeExpansionRequired: true}, status.Error(code, "no")
		}
		writes := 1
		w.atStored = func() {
			if writes++; writes == when {
				w.vanish()
			}
		}
		_, _ = w.Reconcile(t.Context(), key)
		w.vanish()
		_, _ = w.Reconcile(t.Context(), key)
		w.journal, w.messages, w.followed, w.forgotten = nil, nil, nil, nil
	}
	if kept := tables.NotEmpty(w.Controller, "deps", "config"); len(kept) > 0 {
		t.Errorf("kept is %q", kept)
	}
}
