package provision

import (
	"maps"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

// Node is the node for which a process works in node deployment. There, a claim
// belongs to the node that is selected for it: by the scheduler, or, where it binds
// immediately, by the first of the nodes' sidecars that writes its own name.
type Node struct {
	Name string
	// Competes tells whether claims that bind immediately are competed for.
	Competes bool
}

// Room is what the driver must be asked before its node is selected for a claim.
// The zero value is: nothing.
type Room struct {
	// Request asks for what CreateVolume would get; it holds no secrets, and asking
	// it has no effect.
	Request *csipb.GetCapacityRequest
	// Bytes is the size of the volume.
	Bytes int64
}

// Suffices tells whether a volume of that size can be made, by the driver's answer.
func (r Room) Suffices(answer *csipb.GetCapacityResponse) bool {
	largest := answer.GetMaximumVolumeSize()
	return answer.GetAvailableCapacity() >= r.Bytes && (largest == nil || largest.GetValue() >= r.Bytes)
}

// OtherNode tells whether a claim belongs to another node; never so for a process
// that works for all of them.
func (n *Node) OtherNode(claim *corev1.PersistentVolumeClaim) bool {
	selected := SelectedNode(claim)
	return n != nil && selected != "" && selected != n.Name
}

// nobodys tells whether a claim belongs to no node yet, so that this one may take
// it.
func (in Input) nobodys() bool { return in.Node != nil && SelectedNode(in.Claim) == "" }

// compete says what to do about a claim that belongs to no node yet. Errors are for
// its owner to report: otherwise each node of the cluster would. So a claim that can
// be provisioned nowhere gets an owner, too, but not where it may be right elsewhere.
func compete(in Input) Decision {
	mode := in.Class.VolumeBindingMode
	if !in.Node.Competes || mode == nil || *mode != storagev1.VolumeBindingImmediate {
		return Decision{Verdict: Skip}
	}
	in.Claim = withNode(in.Claim, in.Node.Name)
	if len(in.Class.AllowedTopologies) > 0 {
		if _, err := requirement(in); err != nil {
			return Decision{Verdict: Await}
		}
	}
	return Decision{Verdict: Compete, Room: in.room()}
}

// withNode returns the claim as it were if the node was selected.
func withNode(claim *corev1.PersistentVolumeClaim, node string) *corev1.PersistentVolumeClaim {
	selected := *claim
	selected.Annotations = maps.Clone(claim.Annotations)
	if selected.Annotations == nil {
		selected.Annotations = map[string]string{}
	}
	selected.Annotations[names.SelectedNode] = node
	return &selected
}

// room returns what to ask the driver; nothing where it can't tell, or the claim
// can't be provisioned as it is. What the volume is to be filled with is not looked
// at before there is an owner.
func (in Input) room() Room {
	ref, filled := source.Of(in.Claim)
	populated := filled && !ref.IsSnapshot() && !ref.IsClaim()
	if populated || in.ClassErr != nil || supported(in) != nil || !in.Driver.Capabilities.GetCapacity {
		return Room{}
	}
	empty := *in.Claim
	empty.Spec.DataSource, empty.Spec.DataSourceRef = nil, nil
	in.Claim = &empty
	plan, err := newPlan(in)
	if err != nil {
		return Room{}
	}
	room := Room{
		Request: &csipb.GetCapacityRequest{
			VolumeCapabilities: plan.Request.GetVolumeCapabilities(),
			Parameters:         plan.Request.GetParameters(),
		},
		Bytes: plan.Request.GetCapacityRange().GetRequiredBytes(),
	}
	// The first is this node's: the volume shall not be elsewhere.
	if places := plan.Request.GetAccessibilityRequirements().GetPreferred(); len(places) > 0 {
		room.Request.AccessibleTopology = places[0]
	}
	if room.Bytes == 0 {
		return Room{}
	}
	return room
}
