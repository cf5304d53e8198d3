package provision

import (
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// What follows on the deletion of a useless volume is decided on the claim as it
// is then, not as it was when the attempt began.
func TestUselessVolumeOfAClaimThatHasChanged(t *testing.T) {
	w := newWorld(t)
	w.driver.answers = []answer{{change: func(r *csipb.CreateVolumeResponse) { r.Volume.CapacityBytes = 1 }}}
	w.driver.deletions = []error{status.Error(codes.Internal, "busy")}
	w.fails("Internal: busy")
	w.setClaim(func(c *corev1.PersistentVolumeClaim) { c.Annotations[names.StorageProvisioner] = "other.example" })
	w.works()
	w.calls("create gold", removing, removing)
	w.atDriver(0)
	w.idle()
}
