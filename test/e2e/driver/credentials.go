package driver

import (
	"maps"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/credential"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/volume"
)

// encryptedKey is the class parameter that protects a volume with a passphrase.
const encryptedKey = "encrypted"

// protect decides which credentials a new volume needs, by the rules in the
// package's documentation.
func (d *Driver) protect(request *csi.CreateVolumeRequest) (volume.Protection, error) {
	switch encrypted := request.GetParameters()[encryptedKey]; encrypted {
	case "true":
		return enrolled(volume.Protection{Stage: true, Expand: true}, request.GetSecrets())
	case "", "false":
	default:
		return volume.Protection{}, status.Errorf(codes.InvalidArgument,
			"parameter %s is %q: want true or false", encryptedKey, encrypted)
	}
	if len(d.options.ExpandCredentials) > 0 {
		return enrolled(volume.Protection{Expand: true}, d.options.ExpandCredentials)
	}
	return volume.Protection{Expand: d.options.RequireExpandCredentials}, nil
}

// enrolled adds the hash of secrets, if there are any.
func enrolled(p volume.Protection, secrets map[string]string) (volume.Protection, error) {
	if len(secrets) == 0 {
		return p, nil
	}
	hash, err := credential.New(secrets)
	p.Hash = hash
	return p, err
}

// unlock checks the secrets of a call for a volume that needs them, and enrols
// the volume if it has none yet.
func (d *Driver) unlock(v volume.Volume, secrets map[string]string) error {
	if len(secrets) == 0 {
		return status.Errorf(codes.InvalidArgument, "volume %q needs credentials, and the call has no secrets", v.ID)
	}
	if v.Protection.Hash == nil {
		_, err := d.volumes.Update(v.ID, func(v *volume.Volume) (err error) {
			v.Protection, err = enrolled(v.Protection, secrets)
			return err
		})
		return err
	}
	right, err := v.Protection.Hash.Matches(secrets)
	if err != nil {
		return err
	}
	if !right {
		return status.Errorf(codes.PermissionDenied, "volume %q: the secrets with the keys %q are not its credentials",
			v.ID, slices.Sorted(maps.Keys(secrets)))
	}
	return nil
}
