package provision

import (
	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/request"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// WithSecrets returns a copy of a request that shares everything else with it.
func WithSecrets(r *csipb.CreateVolumeRequest, secrets map[string]string) *csipb.CreateVolumeRequest {
	full := request.Copy(r)
	full.Secrets = secrets
	return full
}

// WithoutTopology returns a copy of a request that shares everything else with it.
func WithoutTopology(r *csipb.CreateVolumeRequest) *csipb.CreateVolumeRequest {
	rest := request.Copy(r)
	rest.AccessibilityRequirements = nil
	return rest
}

// Repeats tells whether the request of one plan repeats that of the other.
func (p *Plan) Repeats(other *Plan) bool {
	return p == other || proto.Equal(p.Request, other.Request)
}

// Retains tells whether the volume is to be kept when its claim is gone. The API server
// takes a missing policy for Retain.
func (p *Plan) Retains() bool {
	return p.Volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete
}

// Supersedes tells whether a plan asks for something else than an older one for the
// same claim, so that it is to take its place. That nodes have come and gone does not
// count as long as one of the places that were asked for is left: a cluster's nodes
// change all the time, and each request may have to be remembered. With a selected node
// it is the place of that node that must be the same.
func (p *Plan) Supersedes(old *Plan) bool {
	switch {
	case p == old:
		return false
	case p.Repeats(old):
		return !p.sameButRequest(old)
	case !proto.Equal(WithoutTopology(p.Request), WithoutTopology(old.Request)), !p.sameButRequest(old):
		return true
	}
	return p.elsewhere(old)
}

// sameButRequest compares what becomes of the volume, but for what names the process
// and the moment in which it was planned.
func (p *Plan) sameButRequest(old *Plan) bool {
	return equality.Semantic.DeepEqual(p.Secret, old.Secret) && equality.Semantic.DeepEqual(p.timeless(), old.timeless())
}

func (p *Plan) timeless() *corev1.PersistentVolume {
	volume := p.Volume.DeepCopy()
	if volume.Spec.ClaimRef != nil {
		volume.Spec.ClaimRef.ResourceVersion = ""
	}
	if volume.Spec.CSI != nil {
		delete(volume.Spec.CSI.VolumeAttributes, names.ProvisionerIdentity)
	}
	return volume
}

// elsewhere tells whether the plan is for other places than an older one.
func (p *Plan) elsewhere(old *Plan) bool {
	now, before := p.Request.GetAccessibilityRequirements(), old.Request.GetAccessibilityRequirements()
	if p.Reschedule {
		return !proto.Equal(first(now), first(before))
	}
	return !topology.Overlap(now.GetRequisite(), before.GetRequisite())
}

// first returns the place that is preferred to all others; nil without one.
func first(r *csipb.TopologyRequirement) *csipb.Topology {
	if len(r.GetPreferred()) == 0 {
		return nil
	}
	return r.GetPreferred()[0]
}
