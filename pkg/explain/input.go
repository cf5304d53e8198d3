package explain

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// Settings are what no manifest tells.
type Settings struct {
	// Driver is the driver's name; empty for that of each claim's class.
	Driver       string
	Capabilities capability.Set
	Options      provision.Options
	// Node is the one that the scheduler is taken to have selected for claims that
	// are bound late; empty for one that has the driver.
	Node string
}

// unborn is the UID of a claim that has none yet.
const unborn = "00000000-0000-0000-0000-000000000000"

// subject is one claim, as it would be decided about.
type subject struct {
	input  provision.Input
	inTree *kube.InTree
	// notes say what was taken for granted.
	notes []string
}

func (s *subject) note(format string, values ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, values...))
}

// gather does with manifests what the controller does with caches.
func (o *Objects) gather(ctx context.Context, claim *corev1.PersistentVolumeClaim, settings Settings) *subject {
	s := &subject{input: provision.Input{Claim: claim.DeepCopy(), Options: settings.Options}}
	in := &s.input
	in.Claim.Namespace = cmp.Or(in.Claim.Namespace, defaultNamespace)
	if in.Claim.UID == "" {
		in.Claim.UID = unborn
		s.note("the claim has no metadata.uid yet: %s stands for it", unborn)
	}
	in.Class = find(o.classes, "", provision.ClassName(claim))
	driver := settings.Driver
	if driver == "" && in.Class != nil {
		driver = kube.DriverOf(in.Class.Provisioner)
	}
	s.inTree = kube.NewInTree(driver)
	in.Driver = provision.Driver{Name: driver, InTreePlugin: s.inTree.Plugin(), Identity: "IDENTITY", Capabilities: settings.Capabilities}
	if in.Class != nil {
		class, err := s.inTree.Class(ctx, in.Class)
		if in.ClassErr = err; err == nil {
			in.Class = class
		}
	}
	if provision.Provisioner(claim) == "" {
		metav1.SetMetaDataAnnotation(&in.Claim.ObjectMeta, names.StorageProvisioner, driver)
	}
	in.Attributes = find(o.attributes, "", provision.AttributesClassName(claim))
	o.place(s, settings)
	in.Source = o.source(*in)
	return s
}

// place finds where the volume may be.
func (o *Objects) place(s *subject, settings Settings) {
	in := &s.input
	index, registered := topology.NewIndex(), []string{}
	for _, node := range o.nodes {
		index.SetNode(node.Name, node.Labels)
	}
	for _, node := range o.registrations {
		for _, entry := range node.Spec.Drivers {
			if entry.Name == in.Driver.Name {
				index.SetRegistration(node.Name, entry.TopologyKeys)
				registered = append(registered, node.Name)
			}
		}
	}
	late := in.Class != nil && in.Class.VolumeBindingMode != nil && *in.Class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
	if in.UsesTopology() && len(registered) == 0 {
		in.Options.Topology = false
	}
	if in.Class != nil && settings.Options.Topology && settings.Capabilities.Topology && len(registered) == 0 {
		s.note("no CSINode among the manifests has driver %q: the topology is left out", in.Driver.Name)
	}
	if late && provision.SelectedNode(in.Claim) == "" {
		node := settings.Node
		if node == "" && len(registered) > 0 {
			node = slices.Min(registered)
		}
		node = cmp.Or(node, "NODE")
		s.note("the class has the volumeBindingMode WaitForFirstConsumer: the volume is made when a pod is scheduled that uses the claim, here to node %s", node)
		metav1.SetMetaDataAnnotation(&in.Claim.ObjectMeta, names.SelectedNode, node)
	}
	if in.UsesTopology() {
		in.Facts = index.Facts(provision.SelectedNode(in.Claim))
	}
}

// source finds what the claim's volume is made from.
func (o *Objects) source(in provision.Input) provision.Source {
	ref, wanted := provision.WantsSource(in)
	if !wanted {
		return provision.Source{}
	}
	found := provision.Source{Grants: o.grants}
	switch ref.Kind {
	case source.KindSnapshot:
		if found.Snapshot = find(o.snapshots, ref.Namespace, ref.Name); found.Snapshot != nil && found.Snapshot.Status.Content != nil {
			found.Content = find(o.contents, "", *found.Snapshot.Status.Content)
		}
	case source.KindClaim:
		if found.Claim = find(o.Claims, ref.Namespace, ref.Name); found.Claim != nil {
			found.Volume = find(o.volumes, "", found.Claim.Spec.VolumeName)
		}
	}
	return found
}
