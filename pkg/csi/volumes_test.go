package csi_test

import (
	"context"
	"strings"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

func TestVolumesPassTheRequestOn(t *testing.T) {
	var created *csipb.CreateVolumeRequest
	var deleted *csipb.DeleteVolumeRequest
	conn := connected(t, &driver{
		createVolume: func(_ context.Context, request *csipb.CreateVolumeRequest) (*csipb.CreateVolumeResponse, error) {
			created = request
			return &csipb.CreateVolumeResponse{Volume: &csipb.Volume{VolumeId: "handle"}}, nil
		},
		deleteVolume: func(request *csipb.DeleteVolumeRequest) error {
			deleted = request
			return nil
		},
	})
	volumes := csi.NewDriver(conn)
	response, err := volumes.CreateVolume(t.Context(), &csipb.CreateVolumeRequest{Name: "pvc-1", Secrets: map[string]string{"k": "v"}})
	if err != nil || response.GetVolume().GetVolumeId() != "handle" {
		t.Errorf("CreateVolume = %v, %v", response, err)
	}
	if err := volumes.DeleteVolume(t.Context(), &csipb.DeleteVolumeRequest{VolumeId: "handle"}); err != nil {
		t.Errorf("DeleteVolume: %v", err)
	}
	if created.GetName() != "pvc-1" || created.GetSecrets()["k"] != "v" || deleted.GetVolumeId() != "handle" {
		t.Errorf("the driver got %s and %s", strings.TrimSpace(created.String()), strings.TrimSpace(deleted.String()))
	}
}
