package driver

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/backend"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/volume"
)

// defaultVolumeBytes is the size of a volume for which none is asked.
const defaultVolumeBytes = 1 << 30

func (s *controllerServer) CreateVolume(
	ctx context.Context, request *csi.CreateVolumeRequest,
) (*csi.CreateVolumeResponse, error) {
	if err := s.driver.checkCreate(request); err != nil {
		return nil, err
	}
	v, err := s.driver.volumes.ByName(request.GetName())
	switch {
	case err == nil:
		err = matches(v, request)
	case errors.Is(err, volume.ErrNotFound):
		v, err = s.driver.create(request)
	}
	if err != nil {
		return nil, err
	}
	if err := s.driver.fill(ctx, v); err != nil {
		return nil, err
	}
	// The state comes first, so that a driver that is killed here finds the
	// volume by its name and makes the storage that is missing.
	if err := s.driver.backend.Create(ctx, spec(v)); err != nil {
		return nil, err
	}
	return &csi.CreateVolumeResponse{Volume: s.driver.describeVolume(v)}, nil
}

// checkCreate checks what does not depend on the volumes that there are.
func (d *Driver) checkCreate(request *csi.CreateVolumeRequest) error {
	if request.GetName() == "" {
		return missing("name")
	}
	if len(request.GetVolumeCapabilities()) == 0 {
		return missing("volume_capabilities")
	}
	for _, capability := range request.GetVolumeCapabilities() {
		if err := d.supports(capability); err != nil {
			return err
		}
	}
	if err := d.checkMutable(request.GetMutableParameters()); err != nil {
		return err
	}
	return checkRange(request.GetCapacityRange())
}

// create stores a new volume.
func (d *Driver) create(request *csi.CreateVolumeRequest) (volume.Volume, error) {
	from, err := d.original(request.GetVolumeContentSource())
	if err != nil {
		return volume.Volume{}, err
	}
	size, err := d.size(request.GetCapacityRange(), from)
	if err != nil {
		return volume.Volume{}, err
	}
	topology, err := d.place(request.GetAccessibilityRequirements(), size)
	if err != nil {
		return volume.Volume{}, err
	}
	protection, err := d.protect(request)
	if err != nil {
		return volume.Volume{}, err
	}
	block, fsType := access(request.GetVolumeCapabilities())
	v := volume.Volume{
		ID:                volume.NewID(),
		Name:              request.GetName(),
		Created:           d.clock.Now(),
		CapacityBytes:     size,
		Block:             block,
		FSType:            fsType,
		Parameters:        request.GetParameters(),
		MutableParameters: request.GetMutableParameters(),
		Topology:          topology,
		Protection:        protection,
		Source:            sourceOf(request.GetVolumeContentSource()),
	}
	return v, d.volumes.Create(v)
}

// fill gives a volume its data, unless it has them.
func (d *Driver) fill(ctx context.Context, v volume.Volume) error {
	if v.Filled || v.Source == (volume.Source{}) {
		return nil
	}
	from, err := d.original(describeSource(v.Source))
	if err != nil {
		return err
	}
	if err := d.backend.Copy(ctx, from.spec, spec(v)); err != nil {
		return err
	}
	_, err = d.volumes.Update(v.ID, func(v *volume.Volume) error { v.Filled = true; return nil })
	return err
}

// matches says whether a volume of that name is the one that is asked for.
func matches(v volume.Volume, request *csi.CreateVolumeRequest) error {
	block, fsType := access(request.GetVolumeCapabilities())
	asked := request.GetCapacityRange()
	tooSmall := v.CapacityBytes < asked.GetRequiredBytes()
	tooLarge := asked.GetLimitBytes() > 0 && v.CapacityBytes > asked.GetLimitBytes()
	var different string
	switch {
	case tooSmall || tooLarge:
		different = "another capacity"
	case v.Block != block || v.FSType != fsType:
		different = "another kind of access"
	case v.Source != sourceOf(request.GetVolumeContentSource()):
		different = "another content"
	case !maps.Equal(v.Parameters, request.GetParameters()):
		different = "other parameters"
	default:
		return nil
	}
	return status.Errorf(codes.AlreadyExists, "volume %q exists as %q with %s", v.Name, v.ID, different)
}

// size chooses the size of a new volume.
func (d *Driver) size(asked *csi.CapacityRange, from *original) (int64, error) {
	size := asked.GetRequiredBytes()
	if size == 0 && from != nil {
		size = from.spec.Bytes
	}
	if from != nil && size < from.spec.Bytes {
		return 0, status.Errorf(codes.OutOfRange, "%d bytes are less than the %d of the source", size, from.spec.Bytes)
	}
	if size == 0 {
		size = defaultVolumeBytes
		if limit := asked.GetLimitBytes(); limit > 0 {
			size = min(size, limit)
		}
	}
	return size, d.checkSize(size)
}

// checkSize refuses sizes that the driver never makes.
func (d *Driver) checkSize(size int64) error {
	if most := d.options.MaxVolumeBytes; most > 0 && size > most {
		return status.Errorf(codes.OutOfRange, "%d bytes are more than the largest volume of %d", size, most)
	}
	return nil
}

func checkRange(asked *csi.CapacityRange) error {
	required, limit := asked.GetRequiredBytes(), asked.GetLimitBytes()
	if required < 0 || limit < 0 {
		return status.Error(codes.InvalidArgument, "capacity_range is negative")
	}
	if limit > 0 && required > limit {
		return status.Errorf(codes.InvalidArgument, "required_bytes %d are more than limit_bytes %d", required, limit)
	}
	return nil
}

// access tells what the capabilities ask for.
func access(capabilities []*csi.VolumeCapability) (block bool, fsType string) {
	for _, capability := range capabilities {
		block = block || capability.GetBlock() != nil
		if asked := capability.GetMount().GetFsType(); asked != "" {
			fsType = asked
		}
	}
	return block, fsType
}

// supports says why no volume of the driver has such a capability, or nil.
func (d *Driver) supports(capability *csi.VolumeCapability) error {
	if capability.GetAccessType() == nil {
		return missing("access_type of the volume capability")
	}
	mode := capability.GetAccessMode().GetMode()
	const (
		single = csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER
		multi  = csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER
	)
	finer := d.capabilities.controller.has(csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER) ||
		d.capabilities.node.has(csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER)
	if (mode == single || mode == multi) && !finer {
		return status.Errorf(codes.InvalidArgument, "the driver has no access mode %s", mode)
	}
	if mode == csi.VolumeCapability_AccessMode_UNKNOWN {
		return missing("access_mode of the volume capability")
	}
	fsType := capability.GetMount().GetFsType()
	if fsType != "" && !slices.Contains(backend.FSTypes(), fsType) {
		return status.Errorf(codes.InvalidArgument, "the driver has no file system %q, but %v", fsType, backend.FSTypes())
	}
	return nil
}

// suits says why a volume cannot be used in that way, or nil.
func (d *Driver) suits(v volume.Volume, capabilities ...*csi.VolumeCapability) error {
	for _, capability := range capabilities {
		if err := d.supports(capability); err != nil {
			return err
		}
	}
	block, fsType := access(capabilities)
	if block != v.Block {
		return status.Errorf(codes.InvalidArgument, "volume %q: block is %t, not %t", v.ID, v.Block, block)
	}
	if fsType != "" && v.FSType != "" && fsType != v.FSType {
		return status.Errorf(codes.InvalidArgument, "volume %q: the file system is %s, not %s", v.ID, v.FSType, fsType)
	}
	return nil
}

// spec is what the backend needs to know of a volume.
func spec(v volume.Volume) backend.Spec {
	return backend.Spec{ID: v.ID, Block: v.Block, FSType: v.FSType, Bytes: v.CapacityBytes, Copied: v.Source != volume.Source{}}
}
