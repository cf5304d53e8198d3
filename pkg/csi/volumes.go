package csi

import (
	"context"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
)

// Volumes makes and deletes volumes at a driver. Both calls are idempotent (CSI
// spec, CreateVolume and DeleteVolume); see [Classify] for their errors.
type Volumes interface {
	CreateVolume(ctx context.Context, request *csipb.CreateVolumeRequest, options ...Option) (*csipb.CreateVolumeResponse, error)
	DeleteVolume(ctx context.Context, request *csipb.DeleteVolumeRequest, options ...Option) error
}

// Resizer changes volumes that exist. Both calls are idempotent (CSI spec,
// ControllerExpandVolume and ControllerModifyVolume).
type Resizer interface {
	ControllerExpandVolume(ctx context.Context, request *csipb.ControllerExpandVolumeRequest, options ...Option) (*csipb.ControllerExpandVolumeResponse, error)
	ControllerModifyVolume(ctx context.Context, request *csipb.ControllerModifyVolumeRequest, options ...Option) error
}

// Driver is all that is asked of a driver.
type Driver interface {
	Volumes
	Resizer
}

// NewDriver returns the port over a connection.
func NewDriver(conn grpc.ClientConnInterface) Driver {
	return remote{csipb.NewControllerClient(conn)}
}

// remote has CreateVolume and ControllerExpandVolume from the client. The answers of
// the others are empty.
type remote struct{ csipb.ControllerClient }

func (r remote) DeleteVolume(ctx context.Context, request *csipb.DeleteVolumeRequest, options ...Option) error {
	_, err := r.ControllerClient.DeleteVolume(ctx, request, options...)
	return err
}

func (r remote) ControllerModifyVolume(ctx context.Context, request *csipb.ControllerModifyVolumeRequest, options ...Option) error {
	_, err := r.ControllerClient.ControllerModifyVolume(ctx, request, options...)
	return err
}
