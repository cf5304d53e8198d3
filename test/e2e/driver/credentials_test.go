package driver_test

import (
	"path/filepath"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver"
)

func TestCredentials(t *testing.T) {
	right := map[string]string{"username": "admin", "password": "t0p-Secret"}
	wrong := map[string]string{"username": "admin", "password": "guess"}
	encrypted := map[string]string{"encrypted": "true"}
	for name, tc := range map[string]struct {
		options    driver.Options
		parameters map[string]string
		create     map[string]string // secrets of each call
		stage      map[string]string
		expand     map[string]string
		wantStage  codes.Code
		wantExpand codes.Code
	}{
		"no credentials: secrets do not matter": {create: right, stage: wrong},
		"encrypted at creation: right":          {parameters: encrypted, create: right, stage: right, expand: right},
		"encrypted at creation: wrong at stage": {
			parameters: encrypted, create: right, stage: wrong, wantStage: codes.PermissionDenied,
		},
		"encrypted at creation: missing at stage": {
			parameters: encrypted, create: right, wantStage: codes.InvalidArgument,
		},
		"encrypted at creation: wrong at expansion": {
			parameters: encrypted, create: right, stage: right, expand: wrong, wantExpand: codes.PermissionDenied,
		},
		"encrypted at creation: missing at expansion": {
			parameters: encrypted, create: right, stage: right, wantExpand: codes.InvalidArgument,
		},
		"encrypted at stage: right": {parameters: encrypted, stage: right, expand: right},
		"encrypted at stage: wrong at expansion": {
			parameters: encrypted, stage: right, expand: wrong, wantExpand: codes.PermissionDenied,
		},
		"encrypted at stage: missing at stage": {parameters: encrypted, wantStage: codes.InvalidArgument},
		"account: right":                       {options: driver.Options{ExpandCredentials: right}, expand: right},
		"account: wrong": {
			options: driver.Options{ExpandCredentials: right}, expand: wrong, wantExpand: codes.PermissionDenied,
		},
		"account: missing": {options: driver.Options{ExpandCredentials: right}, wantExpand: codes.InvalidArgument},
		"account not known: any": {
			options: driver.Options{RequireExpandCredentials: true}, expand: wrong,
		},
		"account not known: missing": {
			options: driver.Options{RequireExpandCredentials: true}, wantExpand: codes.InvalidArgument,
		},
		"encrypted beside an account: its own passphrase": {
			options:    driver.Options{ExpandCredentials: wrong},
			parameters: encrypted, create: right, stage: right, expand: right,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, tc.options)
			request := createRequest("one")
			request.Parameters, request.Secrets = tc.parameters, tc.create
			id := r.create(t, request)
			r.expand(t, id, 2*gib)
			path := filepath.Join(t.TempDir(), "staging")
			// Each call comes twice: enrolling must not change the answer.
			for range 2 {
				_, err := r.NodeStageVolume(t.Context(), &csi.NodeStageVolumeRequest{
					VolumeId: id, StagingTargetPath: path, VolumeCapability: mountCapability(), Secrets: tc.stage,
				})
				wantCode(t, "staging", err, tc.wantStage)
			}
			if tc.wantStage != codes.OK {
				return
			}
			for range 2 {
				_, err := r.NodeExpandVolume(t.Context(), &csi.NodeExpandVolumeRequest{
					VolumeId: id, VolumePath: path, StagingTargetPath: path, Secrets: tc.expand,
				})
				wantCode(t, "expanding", err, tc.wantExpand)
				r.restart(t)
			}
		})
	}
}

func TestFirstExpansionEnrols(t *testing.T) {
	r := start(t, driver.Options{RequireExpandCredentials: true})
	id := r.create(t, createRequest("one"))
	staged, _ := r.publish(t, id, mountCapability())
	for _, call := range []struct {
		password string
		want     codes.Code
	}{
		{"first", codes.OK}, {"second", codes.PermissionDenied}, {"first", codes.OK},
	} {
		_, err := r.NodeExpandVolume(t.Context(), &csi.NodeExpandVolumeRequest{
			VolumeId: id, VolumePath: staged, Secrets: map[string]string{"password": call.password},
		})
		wantCode(t, "expanding with the "+call.password, err, call.want)
	}
	volumes, err := r.control.Volumes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v := volumes[0]; !v.Protected || !v.Enrolled {
		t.Errorf("volume is %+v, want it protected and enrolled", v)
	}
}

func TestEncryptedIsTrueOrFalse(t *testing.T) {
	r := start(t, driver.Options{})
	request := createRequest("one")
	request.Parameters = map[string]string{"encrypted": "yes"}
	_, err := r.CreateVolume(t.Context(), request)
	wantCode(t, "creating", err, codes.InvalidArgument)
}
