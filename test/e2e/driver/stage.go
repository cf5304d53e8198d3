package driver

import (
	"context"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/volume"
)

func (s *nodeServer) NodeStageVolume(
	ctx context.Context, request *csi.NodeStageVolumeRequest,
) (*csi.NodeStageVolumeResponse, error) {
	if request.GetVolumeId() == "" {
		return nil, missing("volume_id")
	}
	if err := checkPath("staging_target_path", request.GetStagingTargetPath()); err != nil {
		return nil, err
	}
	if request.GetVolumeCapability() == nil {
		return nil, missing("volume_capability")
	}
	v, err := s.driver.volumes.Get(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	err = s.driver.stage(ctx, v, request.GetVolumeCapability(), request.GetSecrets(), request.GetStagingTargetPath())
	if err != nil {
		return nil, err
	}
	return &csi.NodeStageVolumeResponse{}, nil
}

// stage brings a volume to a path and notes it.
func (d *Driver) stage(
	ctx context.Context, v volume.Volume, capability *csi.VolumeCapability, secrets map[string]string, path string,
) error {
	if err := d.suits(v, capability); err != nil {
		return err
	}
	if v.Protection.Stage {
		if err := d.unlock(v, secrets); err != nil {
			return err
		}
	}
	staged := spec(v)
	staged.MountOptions = capability.GetMount().GetMountFlags()
	if err := d.backend.Stage(ctx, staged, path); err != nil {
		return err
	}
	_, err := d.volumes.Update(v.ID, func(v *volume.Volume) error {
		if v.NodeBytes == 0 {
			v.NodeBytes = v.CapacityBytes // a new file system fills the device
		}
		if !slices.Contains(v.Staged, path) {
			v.Staged = append(v.Staged, path)
		}
		return nil
	})
	return err
}

func (s *nodeServer) NodeUnstageVolume(
	ctx context.Context, request *csi.NodeUnstageVolumeRequest,
) (*csi.NodeUnstageVolumeResponse, error) {
	if request.GetVolumeId() == "" {
		return nil, missing("volume_id")
	}
	if err := checkPath("staging_target_path", request.GetStagingTargetPath()); err != nil {
		return nil, err
	}
	if _, err := s.driver.volumes.Get(request.GetVolumeId()); err != nil {
		return nil, err
	}
	if err := s.driver.unstage(ctx, request.GetVolumeId(), request.GetStagingTargetPath()); err != nil {
		return nil, err
	}
	return &csi.NodeUnstageVolumeResponse{}, nil
}

func (d *Driver) unstage(ctx context.Context, id, path string) error {
	if err := d.backend.Unstage(ctx, id, path); err != nil {
		return err
	}
	_, err := d.volumes.Update(id, func(v *volume.Volume) error {
		v.Staged = slices.DeleteFunc(v.Staged, func(p string) bool { return p == path })
		return nil
	})
	return err
}

func (s *nodeServer) NodePublishVolume(
	ctx context.Context, request *csi.NodePublishVolumeRequest,
) (*csi.NodePublishVolumeResponse, error) {
	v, err := s.driver.checkPublish(request)
	if err != nil {
		return nil, err
	}
	target, staged := request.GetTargetPath(), request.GetStagingTargetPath()
	wanted := volume.Publishing{
		ReadOnly: request.GetReadonly(),
		Mode:     request.GetVolumeCapability().GetAccessMode().GetMode().String(),
	}
	if err := admit(v, target, wanted); err != nil {
		return nil, err
	}
	if !s.driver.capabilities.stages() {
		staged = s.driver.ownStaging(v.ID)
		if err := s.driver.stage(ctx, v, request.GetVolumeCapability(), request.GetSecrets(), staged); err != nil {
			return nil, err
		}
	}
	published := spec(v)
	published.ReadOnly = wanted.ReadOnly
	if err := s.driver.backend.Publish(ctx, published, staged, target); err != nil {
		return nil, err
	}
	_, err = s.driver.volumes.Update(v.ID, func(v *volume.Volume) error {
		if v.Published == nil {
			v.Published = map[string]volume.Publishing{}
		}
		v.Published[target] = wanted
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (d *Driver) checkPublish(request *csi.NodePublishVolumeRequest) (volume.Volume, error) {
	if request.GetVolumeId() == "" {
		return volume.Volume{}, missing("volume_id")
	}
	if err := checkPath("target_path", request.GetTargetPath()); err != nil {
		return volume.Volume{}, err
	}
	if request.GetVolumeCapability() == nil {
		return volume.Volume{}, missing("volume_capability")
	}
	v, err := d.volumes.Get(request.GetVolumeId())
	if err != nil {
		return v, err
	}
	if d.capabilities.stages() && !slices.Contains(v.Staged, request.GetStagingTargetPath()) {
		return v, status.Errorf(codes.FailedPrecondition, "volume %q is not staged at %q", v.ID, request.GetStagingTargetPath())
	}
	return v, d.suits(v, request.GetVolumeCapability())
}

// admit says whether a volume may be published at a target, given where it is.
func admit(v volume.Volume, target string, wanted volume.Publishing) error {
	if there, ok := v.Published[target]; ok {
		if there != wanted {
			return status.Errorf(codes.AlreadyExists, "volume %q is published at %s in another way", v.ID, target)
		}
		return nil
	}
	single := csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER.String()
	if wanted.Mode == single && len(v.Published) > 0 {
		return status.Errorf(codes.FailedPrecondition, "volume %q has its single writer elsewhere", v.ID)
	}
	return nil
}

func (s *nodeServer) NodeUnpublishVolume(
	ctx context.Context, request *csi.NodeUnpublishVolumeRequest,
) (*csi.NodeUnpublishVolumeResponse, error) {
	if request.GetVolumeId() == "" {
		return nil, missing("volume_id")
	}
	if err := checkPath("target_path", request.GetTargetPath()); err != nil {
		return nil, err
	}
	v, err := s.driver.volumes.Get(request.GetVolumeId())
	if err != nil {
		return nil, err
	}
	if err := s.driver.backend.Unpublish(ctx, request.GetTargetPath()); err != nil {
		return nil, err
	}
	v, err = s.driver.volumes.Update(v.ID, func(v *volume.Volume) error {
		delete(v.Published, request.GetTargetPath())
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !s.driver.capabilities.stages() && len(v.Published) == 0 {
		if err := s.driver.unstage(ctx, v.ID, s.driver.ownStaging(v.ID)); err != nil {
			return nil, err
		}
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// isAt says whether the volume is staged or published at the path.
func isAt(v volume.Volume, path string) bool {
	_, published := v.Published[path]
	return published || slices.Contains(v.Staged, path)
}
