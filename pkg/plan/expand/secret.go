package expand

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// backfilled returns the volume with the reference to the Secret of
// ControllerExpandVolume that it lacks and its class names; nil when there is
// nothing to add. The API server lets the field be set once.
func backfilled(in Input, plan *Plan) (*corev1.PersistentVolume, error) {
	if !in.Options.BackfillExpandSecrets || plan.Request == nil || plan.Secret != nil {
		return nil, nil
	}
	ref, err := ofClass(in, secrets.ControllerExpand)
	if err != nil {
		return nil, fmt.Errorf("finding the secret of ControllerExpandVolume, as PersistentVolume %q has no spec.csi.controllerExpandSecretRef: StorageClass %q: %w", in.Volume.Name, in.Class.Name, err)
	}
	if ref == nil {
		return nil, nil
	}
	volume := in.Volume.DeepCopy()
	source(volume).ControllerExpandSecretRef = ref.CoreV1()
	return volume, nil
}

// nodeSecretWarning says that the volume's node will have no credentials where
// its class wants it to have some; empty when that is not so.
func nodeSecretWarning(in Input) string {
	if source(in.Volume).NodeExpandSecretRef != nil {
		return ""
	}
	// A reference that can't be resolved is asked for, too.
	if ref, err := ofClass(in, secrets.NodeExpand); ref == nil && err == nil {
		return ""
	}
	return fmt.Sprintf("StorageClass %q asks for a node-expand secret, but PersistentVolume %q has no spec.csi.nodeExpandSecretRef, and Kubernetes does not let that field be changed on an existing PersistentVolume: the driver's NodeExpandVolume will be called without credentials. If it needs them, re-create the PersistentVolume with the field, as described in docs/expand-secrets.md", in.Class.Name, in.Volume.Name)
}

// ofClass returns the Secret that the volume's class names for the role; nil when
// it names none. A class of that name that is another driver's says nothing about
// this volume.
func ofClass(in Input, role secrets.Role) (*secrets.Ref, error) {
	if in.Class == nil || in.Class.Provisioner != in.Driver {
		return nil, nil
	}
	return secrets.Resolve(role, in.Class.Parameters, secrets.Volume{
		PVName:           in.Volume.Name,
		ClaimNamespace:   in.Claim.Namespace,
		ClaimName:        in.Claim.Name,
		ClaimAnnotations: in.Claim.Annotations,
	})
}
