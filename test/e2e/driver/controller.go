package driver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/volume"
)

// controllerServer makes, changes and deletes volumes.
type controllerServer struct {
	csi.UnimplementedControllerServer
	driver *Driver
}

func (s *controllerServer) ControllerGetCapabilities(
	context.Context, *csi.ControllerGetCapabilitiesRequest,
) (*csi.ControllerGetCapabilitiesResponse, error) {
	response := &csi.ControllerGetCapabilitiesResponse{}
	for _, rpc := range s.driver.capabilities.controller {
		response.Capabilities = append(response.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: rpc}},
		})
	}
	return response, nil
}

func (s *controllerServer) DeleteVolume(
	ctx context.Context, request *csi.DeleteVolumeRequest,
) (*csi.DeleteVolumeResponse, error) {
	if request.GetVolumeId() == "" {
		return nil, missing("volume_id")
	}
	v, err := s.driver.volumes.Get(request.GetVolumeId())
	if errors.Is(err, volume.ErrNotFound) {
		return &csi.DeleteVolumeResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	if v.InUse() {
		return nil, status.Errorf(codes.FailedPrecondition, "volume %q is in use", v.ID)
	}
	// The state goes last: a volume with half of its data can be deleted again.
	if err := s.driver.backend.Delete(ctx, v.ID); err != nil {
		return nil, err
	}
	return &csi.DeleteVolumeResponse{}, s.driver.volumes.Delete(v.ID)
}

func (s *controllerServer) ValidateVolumeCapabilities(
	_ context.Context, request *csi.ValidateVolumeCapabilitiesRequest,
) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if request.GetVolumeId() == "" {
		return nil, missing("volume_id")
	}
	if len(request.GetVolumeCapabilities()) == 0 {
		return nil, missing("volume_capabilities")
	}
	v, err := s.driver.volumes.Get(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	if err := s.driver.suits(v, request.GetVolumeCapabilities()...); err != nil {
		return &csi.ValidateVolumeCapabilitiesResponse{Message: status.Convert(err).Message()}, nil
	}
	return &csi.ValidateVolumeCapabilitiesResponse{
		Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
			VolumeContext:      request.GetVolumeContext(),
			VolumeCapabilities: request.GetVolumeCapabilities(),
			Parameters:         request.GetParameters(),
			MutableParameters:  request.GetMutableParameters(),
		},
	}, nil
}

func (s *controllerServer) ControllerGetVolume(
	_ context.Context, request *csi.ControllerGetVolumeRequest,
) (*csi.ControllerGetVolumeResponse, error) {
	if request.GetVolumeId() == "" {
		return nil, missing("volume_id")
	}
	v, err := s.driver.volumes.Get(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	return &csi.ControllerGetVolumeResponse{
		Volume: s.driver.describeVolume(v),
		Status: &csi.ControllerGetVolumeResponse_VolumeStatus{PublishedNodeIds: nodesOf(v)},
	}, nil
}

// ListVolumes pages by ID: a token is the ID of the last volume told, so that
// a volume that goes away meanwhile does not spoil it.
func (s *controllerServer) ListVolumes(
	_ context.Context, request *csi.ListVolumesRequest,
) (*csi.ListVolumesResponse, error) {
	token, most := request.GetStartingToken(), int(request.GetMaxEntries())
	if token != "" && !volume.IsID(token) {
		return nil, status.Errorf(codes.Aborted, "starting_token %q is none of this driver's", token)
	}
	if most < 0 {
		return nil, status.Error(codes.InvalidArgument, "max_entries is negative")
	}
	all, err := s.driver.volumes.List()
	if err != nil {
		return nil, err
	}
	withNodes := s.driver.capabilities.controller.has(csi.ControllerServiceCapability_RPC_LIST_VOLUMES_PUBLISHED_NODES)
	response := &csi.ListVolumesResponse{}
	for _, v := range all {
		if v.ID <= token {
			continue
		}
		if most > 0 && len(response.Entries) == most {
			response.NextToken = response.Entries[most-1].GetVolume().GetVolumeId()
			break
		}
		entry := &csi.ListVolumesResponse_Entry{Volume: s.driver.describeVolume(v)}
		if withNodes {
			entry.Status = &csi.ListVolumesResponse_VolumeStatus{PublishedNodeIds: nodesOf(v)}
		}
		response.Entries = append(response.Entries, entry)
	}
	return response, nil
}

func (s *controllerServer) GetCapacity(
	_ context.Context, request *csi.GetCapacityRequest,
) (*csi.GetCapacityResponse, error) {
	unsupported := func(c *csi.VolumeCapability) bool { return s.driver.supports(c) != nil }
	if slices.ContainsFunc(request.GetVolumeCapabilities(), unsupported) {
		return &csi.GetCapacityResponse{}, nil
	}
	topology := s.driver.home()
	if asked := request.GetAccessibleTopology(); len(asked.GetSegments()) > 0 {
		topology = s.driver.satisfy(asked.GetSegments())
		if topology == nil {
			return &csi.GetCapacityResponse{}, nil
		}
	}
	free, err := s.driver.free(topology)
	if err != nil {
		return nil, err
	}
	response := &csi.GetCapacityResponse{AvailableCapacity: free}
	if s.driver.options.MaxVolumeBytes > 0 {
		response.MaximumVolumeSize = int64Value(s.driver.options.MaxVolumeBytes)
	}
	return response, nil
}

// describeVolume is the volume as CSI tells it.
func (d *Driver) describeVolume(v volume.Volume) *csi.Volume {
	described := &csi.Volume{
		VolumeId:      v.ID,
		CapacityBytes: v.CapacityBytes,
		VolumeContext: map[string]string{"backend": d.backend.Kind()},
		ContentSource: describeSource(v.Source),
	}
	if d.capabilities.hasTopology() {
		for _, segments := range v.Topology {
			described.AccessibleTopology = append(described.AccessibleTopology, &csi.Topology{Segments: segments})
		}
	}
	return described
}

func nodesOf(v volume.Volume) []string { return slices.Sorted(maps.Keys(v.Attachments)) }

// missing is the error for a field that is required.
func missing(field string) error {
	return status.Error(codes.InvalidArgument, fmt.Sprintf("%s is missing", field))
}
