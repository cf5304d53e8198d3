package provision

import (
	"errors"
	"fmt"
	"maps"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// maxVolumeObjectBytes bounds the PersistentVolumes that are sent to the API
// server. By default etcd takes requests of up to 1.5 MiB, in which the server
// adds to what it was sent; its refusal can't be told from errors that pass.
const maxVolumeObjectBytes = 1 << 20

// Conclusion is what follows from the driver's answer to a plan.
type Conclusion struct {
	// Volume is the PersistentVolume to store; nil when Err is not.
	Volume *corev1.PersistentVolume
	// Discard is the handle of a volume that is of no use and must be deleted;
	// empty when there is none, or none that the driver named.
	Discard string
	// Err says what is wrong with the answer.
	Err error
}

// Conclude returns what must become of a plan to which the driver has answered
// without an error.
func Conclude(plan *Plan, response *csipb.CreateVolumeResponse) Conclusion {
	made := response.GetVolume()
	if made.GetVolumeId() == "" {
		return Conclusion{Err: errors.New("the CSI driver answered CreateVolume with success, but without a volume or its volume_id, as the CSI specification demands: this is a fault of the driver")}
	}
	requested := plan.Request.GetCapacityRange().GetRequiredBytes()
	capacity := made.GetCapacityBytes()
	if capacity == 0 {
		// The driver does not know (CSI spec, Volume.capacity_bytes).
		capacity = requested
	}
	if capacity < requested {
		return Conclusion{
			Discard: made.GetVolumeId(),
			Err:     fmt.Errorf("the CSI driver created a volume of %d bytes where %d were requested: the volume is of no use and is deleted again", capacity, requested),
		}
	}
	if err := filledFrom(plan, made); err != nil {
		return Conclusion{Discard: made.GetVolumeId(), Err: err}
	}
	volume := plan.Volume.DeepCopy()
	volume.Spec.Capacity = corev1.ResourceList{
		corev1.ResourceStorage: *resource.NewQuantity(capacity, resource.BinarySI),
	}
	volume.Spec.CSI.VolumeHandle = made.GetVolumeId()
	maps.Copy(volume.Spec.CSI.VolumeAttributes, made.GetVolumeContext())
	if plan.UsesTopology {
		volume.Spec.NodeAffinity = topology.NodeAffinity(made.GetAccessibleTopology())
	}
	if size := volume.Size(); size > maxVolumeObjectBytes {
		return Conclusion{
			Discard: made.GetVolumeId(),
			Err:     fmt.Errorf("the CSI driver answered CreateVolume with so much that the PersistentVolume is of %d bytes, where Kubernetes can store %d: its volume_context must be shorter: the volume is of no use and is deleted again", size, maxVolumeObjectBytes),
		}
	}
	return Conclusion{Volume: volume}
}
