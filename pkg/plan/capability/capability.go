// Package capability says what a CSI driver can do, as plain values.
//
// It may import CSI messages only.
package capability

import (
	csipb "github.com/container-storage-interface/spec/lib/go/csi"
)

// Set holds the capabilities that this program asks about. The zero value can
// do nothing.
type Set struct {
	// ControllerService and Topology are plugin capabilities (CSI spec,
	// GetPluginCapabilities): CONTROLLER_SERVICE and
	// VOLUME_ACCESSIBILITY_CONSTRAINTS.
	ControllerService bool
	Topology          bool

	// These are controller capabilities (CSI spec, ControllerGetCapabilities):
	// CREATE_DELETE_VOLUME, PUBLISH_UNPUBLISH_VOLUME, SINGLE_NODE_MULTI_WRITER,
	// EXPAND_VOLUME, MODIFY_VOLUME, CREATE_DELETE_SNAPSHOT, CLONE_VOLUME and
	// GET_CAPACITY.
	CreateDelete          bool
	PublishUnpublish      bool
	SingleNodeMultiWriter bool
	ControllerExpand      bool
	Modify                bool
	Snapshot              bool
	Clone                 bool
	GetCapacity           bool

	// NodeExpand is the node capability EXPAND_VOLUME (CSI spec,
	// NodeGetCapabilities).
	NodeExpand bool
}

// FromPlugin adds what the answer to GetPluginCapabilities reports.
func (s Set) FromPlugin(capabilities []*csipb.PluginCapability) Set {
	for _, c := range capabilities {
		switch c.GetService().GetType() {
		case csipb.PluginCapability_Service_CONTROLLER_SERVICE:
			s.ControllerService = true
		case csipb.PluginCapability_Service_VOLUME_ACCESSIBILITY_CONSTRAINTS:
			s.Topology = true
		default: // not asked about
		}
	}
	return s
}

// FromController adds what the answer to ControllerGetCapabilities reports.
func (s Set) FromController(capabilities []*csipb.ControllerServiceCapability) Set {
	for _, c := range capabilities {
		switch c.GetRpc().GetType() {
		case csipb.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME:
			s.CreateDelete = true
		case csipb.ControllerServiceCapability_RPC_PUBLISH_UNPUBLISH_VOLUME:
			s.PublishUnpublish = true
		case csipb.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER:
			s.SingleNodeMultiWriter = true
		case csipb.ControllerServiceCapability_RPC_EXPAND_VOLUME:
			s.ControllerExpand = true
		case csipb.ControllerServiceCapability_RPC_MODIFY_VOLUME:
			s.Modify = true
		case csipb.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT:
			s.Snapshot = true
		case csipb.ControllerServiceCapability_RPC_CLONE_VOLUME:
			s.Clone = true
		case csipb.ControllerServiceCapability_RPC_GET_CAPACITY:
			s.GetCapacity = true
		default: // not asked about
		}
	}
	return s
}

// FromNode adds what the answer to NodeGetCapabilities reports.
func (s Set) FromNode(capabilities []*csipb.NodeServiceCapability) Set {
	for _, c := range capabilities {
		if c.GetRpc().GetType() == csipb.NodeServiceCapability_RPC_EXPAND_VOLUME {
			s.NodeExpand = true
		}
	}
	return s
}

// MissingForVolumes names the capability without which a driver can neither
// create nor delete volumes, in the words of the CSI spec; empty when it can.
func (s Set) MissingForVolumes() string {
	switch {
	case !s.ControllerService:
		return "plugin capability CONTROLLER_SERVICE"
	case !s.CreateDelete:
		return "controller capability CREATE_DELETE_VOLUME"
	}
	return ""
}
