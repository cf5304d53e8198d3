package driver

import (
	"context"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/volume"
)

func (s *controllerServer) ControllerExpandVolume(
	ctx context.Context, request *csi.ControllerExpandVolumeRequest,
) (*csi.ControllerExpandVolumeResponse, error) {
	if request.GetVolumeId() == "" {
		return nil, missing("volume_id")
	}
	if request.GetCapacityRange() == nil {
		return nil, missing("capacity_range")
	}
	v, err := s.driver.volumes.Get(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	if needsExpansion(v, request.GetCapacityRange()) && s.driver.capabilities.offlineOnly() && v.InUse() {
		return nil, status.Errorf(codes.FailedPrecondition, "volume %q is in use and can be expanded offline only", v.ID)
	}
	v, err = s.driver.expand(ctx, v, request.GetCapacityRange())
	if err != nil {
		return nil, err
	}
	return &csi.ControllerExpandVolumeResponse{
		CapacityBytes:         v.CapacityBytes,
		NodeExpansionRequired: s.driver.capabilities.expandsOnNode() && v.NodeBytes < v.CapacityBytes,
	}, nil
}

func needsExpansion(v volume.Volume, asked *csi.CapacityRange) bool {
	return v.CapacityBytes < asked.GetRequiredBytes()
}

// expand makes the storage as large as is asked, unless it is already.
func (d *Driver) expand(ctx context.Context, v volume.Volume, asked *csi.CapacityRange) (volume.Volume, error) {
	if err := checkRange(asked); err != nil {
		return v, err
	}
	if limit := asked.GetLimitBytes(); limit > 0 && v.CapacityBytes > limit {
		return v, status.Errorf(codes.OutOfRange, "volume %q has %d bytes, more than limit_bytes %d", v.ID, v.CapacityBytes, limit)
	}
	if !needsExpansion(v, asked) {
		return v, nil
	}
	size := asked.GetRequiredBytes()
	if err := d.checkSize(size); err != nil {
		return v, err
	}
	if len(v.Topology) > 0 {
		enough, err := d.holds(v.Topology[0], size-v.CapacityBytes)
		if err != nil {
			return v, err
		}
		if !enough {
			return v, status.Errorf(codes.ResourceExhausted, "there is no room to expand volume %q to %d bytes", v.ID, size)
		}
	}
	larger := spec(v)
	larger.Bytes = size
	if err := d.backend.Expand(ctx, larger); err != nil {
		return v, err
	}
	return d.volumes.Update(v.ID, func(v *volume.Volume) error {
		v.CapacityBytes = max(v.CapacityBytes, size)
		return nil
	})
}

func (s *controllerServer) ControllerModifyVolume(
	_ context.Context, request *csi.ControllerModifyVolumeRequest,
) (*csi.ControllerModifyVolumeResponse, error) {
	if request.GetVolumeId() == "" {
		return nil, missing("volume_id")
	}
	_, err := s.driver.volumes.Update(request.GetVolumeId(), func(v *volume.Volume) error {
		if err := s.driver.checkMutable(request.GetMutableParameters()); err != nil {
			return err
		}
		if v.MutableParameters == nil {
			v.MutableParameters = map[string]string{}
		}
		// Keys that are not given stay as they are, says the specification.
		for key, value := range request.GetMutableParameters() {
			v.MutableParameters[key] = value
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &csi.ControllerModifyVolumeResponse{}, nil
}

// checkMutable refuses parameters that the driver does not take.
func (d *Driver) checkMutable(parameters map[string]string) error {
	if len(d.options.MutableParameters) == 0 {
		return nil
	}
	for key := range parameters {
		if !slices.Contains(d.options.MutableParameters, key) {
			return status.Errorf(codes.InvalidArgument, "there is no mutable parameter %q, but %v", key, d.options.MutableParameters)
		}
	}
	return nil
}
