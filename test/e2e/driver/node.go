package driver

import (
	"context"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/volume"
)

// nodeServer gives volumes to this machine.
type nodeServer struct {
	csi.UnimplementedNodeServer
	driver *Driver
}

func (s *nodeServer) NodeGetCapabilities(
	context.Context, *csi.NodeGetCapabilitiesRequest,
) (*csi.NodeGetCapabilitiesResponse, error) {
	response := &csi.NodeGetCapabilitiesResponse{}
	for _, rpc := range s.driver.capabilities.node {
		response.Capabilities = append(response.Capabilities, &csi.NodeServiceCapability{
			Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: rpc}},
		})
	}
	return response, nil
}

func (s *nodeServer) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	response := &csi.NodeGetInfoResponse{
		NodeId:            s.driver.options.NodeID,
		MaxVolumesPerNode: s.driver.options.MaxVolumesPerNode,
	}
	if s.driver.capabilities.hasTopology() {
		response.AccessibleTopology = &csi.Topology{Segments: s.driver.options.Segments}
	}
	return response, nil
}

func (s *nodeServer) NodeGetVolumeStats(
	ctx context.Context, request *csi.NodeGetVolumeStatsRequest,
) (*csi.NodeGetVolumeStatsResponse, error) {
	v, err := s.driver.volumeAt(request.GetVolumeId(), request.GetVolumePath(), request.GetStagingTargetPath())
	if err != nil {
		return nil, err
	}
	measured := spec(v)
	measured.Bytes = v.NodeBytes
	usage, err := s.driver.backend.Usage(ctx, measured, request.GetVolumePath())
	if err != nil {
		return nil, err
	}
	response := &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{{
		Unit:      csi.VolumeUsage_BYTES,
		Total:     usage.TotalBytes,
		Used:      usage.UsedBytes,
		Available: usage.AvailableBytes,
	}}}
	if usage.TotalInodes > 0 {
		response.Usage = append(response.Usage, &csi.VolumeUsage{
			Unit:      csi.VolumeUsage_INODES,
			Total:     usage.TotalInodes,
			Used:      usage.UsedInodes,
			Available: usage.AvailableInodes,
		})
	}
	return response, nil
}

// NodeExpandVolume makes what is on the node as large as the volume; a driver
// that expands on the node only makes the volume larger first.
func (s *nodeServer) NodeExpandVolume(
	ctx context.Context, request *csi.NodeExpandVolumeRequest,
) (*csi.NodeExpandVolumeResponse, error) {
	v, err := s.driver.volumeAt(request.GetVolumeId(), request.GetVolumePath(), request.GetStagingTargetPath())
	if err != nil {
		return nil, err
	}
	if v.Protection.Expand {
		if err := s.driver.unlock(v, request.GetSecrets()); err != nil {
			return nil, err
		}
	}
	asked := request.GetCapacityRange()
	if needsExpansion(v, asked) && s.driver.capabilities.expandsInController() {
		return nil, status.Errorf(codes.OutOfRange, "volume %q has %d bytes, less than required_bytes %d",
			v.ID, v.CapacityBytes, asked.GetRequiredBytes())
	}
	if v, err = s.driver.expand(ctx, v, asked); err != nil {
		return nil, err
	}
	if err := s.driver.backend.Resize(ctx, spec(v), s.driver.stagedAt(v)); err != nil {
		return nil, err
	}
	size := v.CapacityBytes
	_, err = s.driver.volumes.Update(v.ID, func(v *volume.Volume) error {
		v.NodeBytes = max(v.NodeBytes, size)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &csi.NodeExpandVolumeResponse{CapacityBytes: size}, nil
}

// volumeAt finds a volume that must be staged or published at the path.
func (d *Driver) volumeAt(id, path, staged string) (volume.Volume, error) {
	if id == "" {
		return volume.Volume{}, missing("volume_id")
	}
	if path == "" {
		return volume.Volume{}, missing("volume_path")
	}
	v, err := d.volumes.Get(id)
	if err != nil {
		return v, err
	}
	if !isAt(v, path) && !isAt(v, staged) {
		return v, status.Errorf(codes.NotFound, "volume %q is not at %s", id, path)
	}
	return v, nil
}

// stagedAt is a path at which the volume is staged.
func (d *Driver) stagedAt(v volume.Volume) string {
	if len(v.Staged) > 0 {
		return v.Staged[0]
	}
	return d.ownStaging(v.ID)
}

// ownStaging is where a driver without STAGE_UNSTAGE_VOLUME stages a volume by
// itself.
func (d *Driver) ownStaging(id string) string {
	return filepath.Join(d.options.StateDir, "staging", id)
}

func checkPath(field, path string) error {
	if path == "" {
		return missing(field)
	}
	if !filepath.IsAbs(path) {
		return status.Errorf(codes.InvalidArgument, "%s %q is not absolute", field, path)
	}
	return nil
}
