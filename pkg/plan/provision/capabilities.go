package provision

import (
	"fmt"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/request"
)

// volumeCapabilities returns one capability for each of the claim's access
// modes, in order.
func volumeCapabilities(in Input, fsType string) ([]*csipb.VolumeCapability, error) {
	var capabilities []*csipb.VolumeCapability
	for _, mode := range in.Claim.Spec.AccessModes {
		access, ok := request.AccessMode(mode, in.Driver.Capabilities.SingleNodeMultiWriter)
		if !ok {
			return nil, fmt.Errorf("the claim's spec.accessModes holds the unknown mode %.253q", mode)
		}
		mount := request.Mount{FSType: fsType, Options: in.Class.MountOptions}
		capabilities = append(capabilities, request.Capability(access, in.Claim.Spec.VolumeMode, mount))
	}
	return capabilities, nil
}
