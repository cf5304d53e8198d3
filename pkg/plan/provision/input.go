package provision

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// Driver is the driver that this process works for.
type Driver struct {
	// Name is the driver's, as GetPluginInfo reports it.
	Name string
	// InTreePlugin is the in-tree plugin whose place the driver has taken, whose
	// classes it serves, too; mostly empty.
	InTreePlugin string
	// Identity names this process; it goes into the attributes of the volumes
	// that it makes.
	Identity     string
	Capabilities capability.Set
}

// Options are the flags that change what is decided.
type Options struct {
	// VolumeNamePrefix is the first part of a volume's name, before a dash.
	VolumeNamePrefix string
	// VolumeNameUUIDLength is the number of characters of the claim's UID,
	// without its dashes, in a volume's name; -1 for the UID as it is.
	VolumeNameUUIDLength int
	// DefaultFSType is used when the class names no file system.
	DefaultFSType string
	// ExtraCreateMetadata adds the names of claim and volume to the request's
	// parameters.
	ExtraCreateMetadata bool
	// Topology, StrictTopology and ImmediateTopology: see [topology.Request].
	// Without Topology the driver's capability for it is not used.
	Topology          bool
	StrictTopology    bool
	ImmediateTopology bool
	// VolumeAttributesClass has volumes made with the attributes of the
	// VolumeAttributesClass that their claims name; otherwise there are none for
	// claims that name one.
	VolumeAttributesClass bool
	// ControllerPublishReadonly marks volumes read-only whose only access mode
	// is ReadOnlyMany.
	ControllerPublishReadonly bool
	// CrossNamespaceVolumeDataSource lets claims name a data source of another namespace
	// (KEP-3294).
	CrossNamespaceVolumeDataSource bool
	// PreventVolumeModeConversion refuses to restore a snapshot to a volume of another
	// mode, unless its content allows it (KEP-3141).
	PreventVolumeModeConversion bool
}

// Input is everything that a decision depends on.
type Input struct {
	Claim *corev1.PersistentVolumeClaim
	// Class is the claim's class (see [ClassName]); nil when there is none of
	// that name. One of the in-tree plugin has its parameters and topologies
	// translated for the driver.
	Class *storagev1.StorageClass
	// ClassErr says why the class of the in-tree plugin can't be translated; Class
	// is as it was found then.
	ClassErr error
	// Attributes is the VolumeAttributesClass that the claim names; nil when there
	// is none of that name, or none is named.
	Attributes *storagev1.VolumeAttributesClass
	// VolumeStored tells that a PersistentVolume of the claim's volume name
	// exists.
	VolumeStored bool
	// Taken says whose that PersistentVolume is, when it is another claim's.
	Taken   error
	Driver  Driver
	Options Options
	// Node is the one for which this process works; nil outside of node deployment.
	Node *Node
	// Facts are those about the node of [Input.Where].
	Facts topology.Facts
	// Source is what is known of the data source, if [WantsSource] asks for one.
	Source Source
}

// Where returns the node as seen from which the topology is needed: the claim's
// selected node (see [SelectedNode]), in node deployment the own one; empty for the
// whole cluster.
func (in Input) Where() string {
	if in.nobodys() {
		return in.Node.Name
	}
	return SelectedNode(in.Claim)
}

// UsesTopology tells whether volumes are made with topology requirements.
func (in Input) UsesTopology() bool {
	return in.Options.Topology && in.Driver.Capabilities.Topology
}

// ClassName returns the name of a claim's class: that of the beta annotation,
// else that of its spec, else the empty string.
func ClassName(claim *corev1.PersistentVolumeClaim) string {
	if name, ok := claim.Annotations[names.StorageClassBeta]; ok {
		return name
	}
	if claim.Spec.StorageClassName != nil {
		return *claim.Spec.StorageClassName
	}
	return ""
}

// SelectedNode returns the node that the scheduler has chosen for a claim, or
// the empty string.
func SelectedNode(claim *corev1.PersistentVolumeClaim) string {
	if node, ok := claim.Annotations[names.SelectedNode]; ok {
		return node
	}
	return claim.Annotations[names.SelectedNodeAlpha]
}

// Provisioner returns the driver that a claim asks for, or the empty string
// where kube-controller-manager has not found that the claim needs one.
func Provisioner(claim *corev1.PersistentVolumeClaim) string {
	if driver, ok := claim.Annotations[names.StorageProvisioner]; ok {
		return driver
	}
	return claim.Annotations[names.StorageProvisionerBeta]
}
