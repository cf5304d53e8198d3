package sidecar

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"

	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// nodeDeployment is what a sidecar knows that works for one node.
type nodeDeployment struct{ home topology.Home }

// findNode asks the driver where its node is. All that the topology is made of is
// known then: neither nodes nor CSINodes are watched, which would cost the API server
// the more, the more sidecars there are.
func (p *process) findNode(ctx context.Context) error {
	n := p.config.Node
	if !n.Enabled {
		return nil
	}
	segments, err := p.session.Locate(ctx)
	if err != nil {
		return err
	}
	place := topology.NewTerm(segments)
	p.node = &nodeDeployment{topology.Home{Node: n.Name, Place: place}}
	p.places.SetNode(n.Name, segments)
	p.places.SetRegistration(n.Name, slices.Collect(maps.Keys(segments)))
	klog.FromContext(ctx).Info("Working for one node", "node", n.Name, "topology", place.String())
	return nil
}

// nodeName is that of the node for which this process works; empty when it works for
// all of them.
func (p *process) nodeName() string {
	if p.node == nil {
		return ""
	}
	return p.node.home.Node
}

// home is nil when this process works for all nodes.
func (p *process) home() *topology.Home {
	if p.node == nil {
		return nil
	}
	return &p.node.home
}

// ownNode is the node as the planner of volumes knows it.
func (p *process) ownNode() *plan.Node {
	if p.node == nil {
		return nil
	}
	return &plan.Node{Name: p.node.home.Node, Competes: p.config.Node.Immediate}
}

// roomOfNode returns the driver to be asked for the room that it has before a claim is
// taken; nil when this process works for all nodes.
func (p *process) roomOfNode(stop <-chan struct{}) csi.Capacity {
	if p.node == nil {
		return nil
	}
	return p.room(p.config.Work.Threads, stop)
}

func (p *process) contest() provision.Contest {
	return provision.Contest{BaseDelay: p.config.Node.BaseDelay, MaxDelay: p.config.Node.MaxDelay, Random: rand.Float64}
}
