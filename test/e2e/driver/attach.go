package driver

import (
	"context"
	"errors"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/volume"
)

func (s *controllerServer) ControllerPublishVolume(
	_ context.Context, request *csi.ControllerPublishVolumeRequest,
) (*csi.ControllerPublishVolumeResponse, error) {
	if err := s.driver.checkAttach(request); err != nil {
		return nil, err
	}
	node := request.GetNodeId()
	if err := s.driver.checkRoom(request.GetVolumeId(), node); err != nil {
		return nil, err
	}
	wanted := volume.Attachment{
		ReadOnly: request.GetReadonly(),
		Mode:     request.GetVolumeCapability().GetAccessMode().GetMode().String(),
	}
	_, err := s.driver.volumes.Update(request.GetVolumeId(), func(v *volume.Volume) error {
		return s.driver.attach(v, node, wanted, request.GetVolumeCapability())
	})
	if err != nil {
		return nil, err
	}
	return &csi.ControllerPublishVolumeResponse{PublishContext: map[string]string{"node": node}}, nil
}

func (d *Driver) checkAttach(request *csi.ControllerPublishVolumeRequest) error {
	if request.GetVolumeId() == "" {
		return missing("volume_id")
	}
	if request.GetNodeId() == "" {
		return missing("node_id")
	}
	if request.GetVolumeCapability() == nil {
		return missing("volume_capability")
	}
	if request.GetReadonly() && !d.capabilities.controller.has(csi.ControllerServiceCapability_RPC_PUBLISH_READONLY) {
		return status.Error(codes.InvalidArgument, "the driver has no PUBLISH_READONLY")
	}
	return nil
}

// attach notes that a node has the volume, if it may.
func (d *Driver) attach(
	v *volume.Volume, node string, wanted volume.Attachment, capability *csi.VolumeCapability,
) error {
	if !slices.Contains(d.options.Nodes, node) {
		return status.Errorf(codes.NotFound, "there is no node %q", node)
	}
	if err := d.suits(*v, capability); err != nil {
		return err
	}
	if there, ok := v.Attachments[node]; ok {
		if there != wanted {
			return status.Errorf(codes.AlreadyExists, "volume %q is attached to %q in another way", v.ID, node)
		}
		return nil
	}
	if len(v.Attachments) > 0 && !manyNodes(capability) {
		return status.Errorf(codes.FailedPrecondition, "volume %q is attached to %q", v.ID, nodesOf(*v)[0])
	}
	if v.Attachments == nil {
		v.Attachments = map[string]volume.Attachment{}
	}
	v.Attachments[node] = wanted
	return nil
}

// checkRoom refuses a volume too many.
func (d *Driver) checkRoom(id, node string) error {
	if d.options.MaxVolumesPerNode == 0 {
		return nil
	}
	all, err := d.volumes.List()
	if err != nil {
		return err
	}
	var others int64
	for _, v := range all {
		if _, attached := v.Attachments[node]; attached && v.ID != id {
			others++
		}
	}
	if others >= d.options.MaxVolumesPerNode {
		return status.Errorf(codes.ResourceExhausted, "node %q has %d volumes, and cannot have more", node, others)
	}
	return nil
}

func manyNodes(capability *csi.VolumeCapability) bool {
	switch capability.GetAccessMode().GetMode() {
	case csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY,
		csi.VolumeCapability_AccessMode_MULTI_NODE_SINGLE_WRITER,
		csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER:
		return true
	default:
		return false
	}
}

func (s *controllerServer) ControllerUnpublishVolume(
	_ context.Context, request *csi.ControllerUnpublishVolumeRequest,
) (*csi.ControllerUnpublishVolumeResponse, error) {
	if request.GetVolumeId() == "" {
		return nil, missing("volume_id")
	}
	_, err := s.driver.volumes.Update(request.GetVolumeId(), func(v *volume.Volume) error {
		if request.GetNodeId() == "" {
			v.Attachments = nil // no node means all of them
		}
		delete(v.Attachments, request.GetNodeId())
		return nil
	})
	if err != nil && !errors.Is(err, volume.ErrNotFound) {
		return nil, err
	}
	return &csi.ControllerUnpublishVolumeResponse{}, nil
}
