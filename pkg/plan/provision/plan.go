package provision

import (
	"fmt"
	"strings"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/request"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// Plan is everything that must be known to make a volume and to finish, or
// undo, what was begun, even when the objects it was made from are gone.
type Plan struct {
	// Request is complete but for its secrets. It is not to be changed: it may
	// have to be repeated exactly.
	Request *csipb.CreateVolumeRequest
	// Secret is that of CreateVolume and DeleteVolume; nil for none.
	Secret *secrets.Ref
	// Volume is the PersistentVolume but for what only the driver's answer
	// tells.
	Volume *corev1.PersistentVolume
	// Source is what the request refers to as the source of the volume's data; it
	// must not go before the volume is made. Nil for an empty volume.
	Source *source.Object
	// UsesTopology tells whether the answer's topology counts.
	UsesTopology bool
	// Reschedule tells that a driver whose resources are exhausted at the
	// selected node may have some at another.
	Reschedule bool
}

func newPlan(in Input) (*Plan, error) {
	name := VolumeName(in.Options, in.Claim)
	refs, err := secrets.ResolveAll(in.Class.Parameters, SecretsOf(in))
	if err != nil {
		return nil, fmt.Errorf("StorageClass %q: %w", in.Class.Name, err)
	}
	fsType, err := fsType(in)
	if err != nil {
		return nil, fmt.Errorf("StorageClass %q: %w", in.Class.Name, err)
	}
	content, from, err := contentSource(in)
	if err != nil {
		return nil, err
	}
	request, err := newRequest(in, name, fsType)
	if err != nil {
		return nil, err
	}
	request.VolumeContentSource = content
	return &Plan{
		Request:      request,
		Secret:       refs[secrets.Provisioner],
		Volume:       newVolume(in, request, fsType, refs),
		Source:       from,
		UsesTopology: in.UsesTopology(),
		Reschedule:   (in.UsesTopology() || in.Node != nil) && SelectedNode(in.Claim) != "",
	}, nil
}

// SecretsOf returns what the templates of the class's secrets may refer to.
func SecretsOf(in Input) secrets.Volume {
	return secrets.Volume{
		PVName:           VolumeName(in.Options, in.Claim),
		ClaimName:        in.Claim.Name,
		ClaimNamespace:   in.Claim.Namespace,
		ClaimAnnotations: in.Claim.Annotations,
	}
}

// VolumeName returns the name of a claim's volume, at the driver and in
// Kubernetes.
func VolumeName(o Options, claim *corev1.PersistentVolumeClaim) string {
	uid := string(claim.UID)
	if o.VolumeNameUUIDLength >= 0 {
		uid = strings.ReplaceAll(uid, "-", "")
		uid = uid[:min(len(uid), o.VolumeNameUUIDLength)]
	}
	return o.VolumeNamePrefix + "-" + uid
}

func newRequest(in Input, name, fsType string) (*csipb.CreateVolumeRequest, error) {
	parameters, err := requestParameters(in, name)
	if err != nil {
		return nil, fmt.Errorf("StorageClass %q: %w", in.Class.Name, err)
	}
	capabilities, err := volumeCapabilities(in, fsType)
	if err != nil {
		return nil, err
	}
	requirement, err := requirement(in)
	if err != nil {
		return nil, fmt.Errorf("finding where the volume may be: %w", err)
	}
	size, err := request.Bytes("the claim's spec.resources.requests.storage", in.Claim.Spec.Resources.Requests[corev1.ResourceStorage])
	if err != nil {
		return nil, err
	}
	mutable, err := attributes(in)
	if err != nil {
		return nil, err
	}
	return &csipb.CreateVolumeRequest{
		Name:                      name,
		CapacityRange:             &csipb.CapacityRange{RequiredBytes: size},
		VolumeCapabilities:        capabilities,
		Parameters:                parameters,
		AccessibilityRequirements: requirement,
		MutableParameters:         mutable,
	}, nil
}

func requirement(in Input) (*csipb.TopologyRequirement, error) {
	if !in.UsesTopology() {
		return nil, nil
	}
	return topology.Requirement(topology.Request{
		ClaimName:    in.Claim.Name,
		SelectedNode: SelectedNode(in.Claim),
		Allowed:      in.Class.AllowedTopologies,
		Strict:       in.Options.StrictTopology,
		Immediate:    in.Options.ImmediateTopology,
		Facts:        in.Facts,
	})
}
