package driver

import (
	"context"
	"errors"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/backend"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/snapshot"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/volume"
)

// CreateSnapshot copies the volume's data as it is now.
func (s *controllerServer) CreateSnapshot(
	ctx context.Context, request *csi.CreateSnapshotRequest,
) (*csi.CreateSnapshotResponse, error) {
	if request.GetName() == "" {
		return nil, missing("name")
	}
	if request.GetSourceVolumeId() == "" {
		return nil, missing("source_volume_id")
	}
	made, err := s.driver.snapshots.ByName(request.GetName())
	if errors.Is(err, snapshot.ErrNotFound) {
		made, err = s.driver.takeSnapshot(ctx, request)
	}
	if err != nil {
		return nil, err
	}
	if made.Volume != request.GetSourceVolumeId() {
		return nil, status.Errorf(codes.AlreadyExists, "snapshot %q exists as %q of volume %q", made.Name, made.ID, made.Volume)
	}
	return &csi.CreateSnapshotResponse{Snapshot: describeSnapshot(made)}, nil
}

// takeSnapshot makes a snapshot. The data come first: a driver that is killed here
// leaves a file that nobody knows, and makes another.
func (d *Driver) takeSnapshot(ctx context.Context, request *csi.CreateSnapshotRequest) (snapshot.Snapshot, error) {
	v, err := d.volumes.Get(request.GetSourceVolumeId())
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	made := snapshot.Snapshot{
		ID: snapshot.NewID(), Name: request.GetName(), Created: d.clock.Now(),
		Volume: v.ID, Bytes: v.CapacityBytes, Block: v.Block,
	}
	if err := d.backend.Copy(ctx, spec(v), snapshotSpec(made)); err != nil {
		return snapshot.Snapshot{}, err
	}
	return made, d.snapshots.Create(made)
}

func (s *controllerServer) DeleteSnapshot(
	ctx context.Context, request *csi.DeleteSnapshotRequest,
) (*csi.DeleteSnapshotResponse, error) {
	if request.GetSnapshotId() == "" {
		return nil, missing("snapshot_id")
	}
	found, err := s.driver.snapshots.Get(request.GetSnapshotId())
	if errors.Is(err, snapshot.ErrNotFound) {
		return &csi.DeleteSnapshotResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := s.driver.backend.Delete(ctx, found.ID); err != nil {
		return nil, err
	}
	return &csi.DeleteSnapshotResponse{}, s.driver.snapshots.Delete(found.ID)
}

// ListSnapshots pages by ID, as ListVolumes does.
func (s *controllerServer) ListSnapshots(
	_ context.Context, request *csi.ListSnapshotsRequest,
) (*csi.ListSnapshotsResponse, error) {
	token, most := request.GetStartingToken(), int(request.GetMaxEntries())
	if token != "" && !snapshot.IsID(token) {
		return nil, status.Errorf(codes.Aborted, "starting_token %q is none of this driver's", token)
	}
	if most < 0 {
		return nil, status.Error(codes.InvalidArgument, "max_entries is negative")
	}
	response := &csi.ListSnapshotsResponse{}
	for _, found := range s.driver.snapshots.List() {
		one, of := request.GetSnapshotId(), request.GetSourceVolumeId()
		if found.ID <= token || one != "" && found.ID != one || of != "" && found.Volume != of {
			continue
		}
		if most > 0 && len(response.Entries) == most {
			response.NextToken = response.Entries[most-1].GetSnapshot().GetSnapshotId()
			break
		}
		response.Entries = append(response.Entries, &csi.ListSnapshotsResponse_Entry{Snapshot: describeSnapshot(found)})
	}
	return response, nil
}

func describeSnapshot(s snapshot.Snapshot) *csi.Snapshot {
	return &csi.Snapshot{
		SnapshotId:     s.ID,
		SourceVolumeId: s.Volume,
		SizeBytes:      s.Bytes,
		CreationTime:   timestamppb.New(s.Created),
		ReadyToUse:     true,
	}
}

func snapshotSpec(s snapshot.Snapshot) backend.Spec {
	return backend.Spec{ID: s.ID, Block: s.Block, Bytes: s.Bytes}
}

// original is what a volume's data come from.
type original struct {
	volume.Source
	spec backend.Spec
}

// original finds what a request wants the data from; nil for an empty volume.
func (d *Driver) original(from *csi.VolumeContentSource) (*original, error) {
	if from == nil {
		return nil, nil
	}
	can := d.capabilities.controller.has
	switch id := sourceOf(from); {
	case id.Snapshot != "" && can(csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT):
		found, err := d.snapshots.Get(id.Snapshot)
		if err != nil {
			return nil, err
		}
		return &original{id, snapshotSpec(found)}, nil
	case id.Volume != "" && can(csi.ControllerServiceCapability_RPC_CLONE_VOLUME):
		found, err := d.volumes.Get(id.Volume)
		if err != nil {
			return nil, err
		}
		return &original{id, spec(found)}, nil
	}
	return nil, status.Error(codes.InvalidArgument, "the driver makes no volumes from such a volume_content_source")
}

func sourceOf(from *csi.VolumeContentSource) volume.Source {
	return volume.Source{Snapshot: from.GetSnapshot().GetSnapshotId(), Volume: from.GetVolume().GetVolumeId()}
}

func describeSource(from volume.Source) *csi.VolumeContentSource {
	switch {
	case from.Snapshot != "":
		return &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{
			Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: from.Snapshot},
		}}
	case from.Volume != "":
		return &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Volume{
			Volume: &csi.VolumeContentSource_VolumeSource{VolumeId: from.Volume},
		}}
	}
	return nil
}
