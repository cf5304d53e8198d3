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

	// The others are controller capabilities (CSI spec,
	// ControllerGetCapabilities): CREATE_DELETE_VOLUME,
	// PUBLISH_UNPUBLISH_VOLUME and SINGLE_NODE_MULTI_WRITER.
	CreateDelete          bool
	PublishUnpublish      bool
	SingleNodeMultiWriter bool
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
		default: // not asked about
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
