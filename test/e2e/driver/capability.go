package driver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Capabilities are names of the CSI specification, such as
// "CREATE_DELETE_VOLUME". In each list "*" stands for the defaults, "-NAME"
// takes a name away, and nil means the defaults. An empty list that is not nil
// advertises nothing.
type Capabilities struct {
	// Plugin are services and kinds of expansion: CONTROLLER_SERVICE,
	// VOLUME_ACCESSIBILITY_CONSTRAINTS, ONLINE, OFFLINE.
	Plugin     []string
	Controller []string
	Node       []string
}

func defaultCapabilities() Capabilities {
	return Capabilities{
		Plugin: []string{"CONTROLLER_SERVICE", "VOLUME_ACCESSIBILITY_CONSTRAINTS", "ONLINE"},
		Controller: []string{
			"CREATE_DELETE_VOLUME", "PUBLISH_UNPUBLISH_VOLUME", "LIST_VOLUMES", "GET_CAPACITY",
			"EXPAND_VOLUME", "MODIFY_VOLUME", "CREATE_DELETE_SNAPSHOT", "LIST_SNAPSHOTS", "CLONE_VOLUME",
		},
		Node: []string{"STAGE_UNSTAGE_VOLUME", "GET_VOLUME_STATS", "EXPAND_VOLUME"},
	}
}

// capabilities are the ones that are advertised, as sets.
type capabilities struct {
	service    set[csi.PluginCapability_Service_Type]
	expansion  set[csi.PluginCapability_VolumeExpansion_Type]
	controller set[csi.ControllerServiceCapability_RPC_Type]
	node       set[csi.NodeServiceCapability_RPC_Type]
}

// A set keeps the order of what was added.
type set[T comparable] []T

func (s set[T]) has(one T) bool { return slices.Contains(s, one) }

func resolve(asked Capabilities, services []string) (capabilities, error) {
	defaults := defaultCapabilities()
	if !slices.Contains(services, Controller) {
		defaults.Plugin = slices.DeleteFunc(defaults.Plugin, func(n string) bool { return n == "CONTROLLER_SERVICE" })
	}
	var c capabilities
	for _, name := range names(asked.Plugin, defaults.Plugin) {
		service, isService := csi.PluginCapability_Service_Type_value[name]
		expansion, isExpansion := csi.PluginCapability_VolumeExpansion_Type_value[name]
		switch {
		case isService:
			c.service = append(c.service, csi.PluginCapability_Service_Type(service))
		case isExpansion:
			c.expansion = append(c.expansion, csi.PluginCapability_VolumeExpansion_Type(expansion))
		default:
			return c, fmt.Errorf("there is no plugin capability %q", name)
		}
	}
	for _, name := range names(asked.Controller, defaults.Controller) {
		value, ok := csi.ControllerServiceCapability_RPC_Type_value[name]
		if !ok {
			return c, fmt.Errorf("there is no controller capability %q", name)
		}
		c.controller = append(c.controller, csi.ControllerServiceCapability_RPC_Type(value))
	}
	for _, name := range names(asked.Node, defaults.Node) {
		value, ok := csi.NodeServiceCapability_RPC_Type_value[name]
		if !ok {
			return c, fmt.Errorf("there is no node capability %q", name)
		}
		c.node = append(c.node, csi.NodeServiceCapability_RPC_Type(value))
	}
	return c, nil
}

// names works out a list with "*" and "-NAME" in it.
func names(asked, defaults []string) []string {
	if asked == nil {
		return defaults
	}
	var result []string
	for _, name := range asked {
		if name == "*" {
			result = append(result, defaults...)
			continue
		}
		if away, ok := strings.CutPrefix(name, "-"); ok {
			result = slices.DeleteFunc(result, func(n string) bool { return n == away })
			continue
		}
		result = append(result, name)
	}
	slices.Sort(result)
	return slices.Compact(result)
}

// allow fails a call whose capability is not advertised.
func (c capabilities) allow(method string) error {
	type controllerRPC = csi.ControllerServiceCapability_RPC_Type
	forController := map[string]controllerRPC{
		"CreateVolume":              csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		"DeleteVolume":              csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		"ControllerPublishVolume":   csi.ControllerServiceCapability_RPC_PUBLISH_UNPUBLISH_VOLUME,
		"ControllerUnpublishVolume": csi.ControllerServiceCapability_RPC_PUBLISH_UNPUBLISH_VOLUME,
		"ListVolumes":               csi.ControllerServiceCapability_RPC_LIST_VOLUMES,
		"GetCapacity":               csi.ControllerServiceCapability_RPC_GET_CAPACITY,
		"ControllerExpandVolume":    csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
		"ControllerModifyVolume":    csi.ControllerServiceCapability_RPC_MODIFY_VOLUME,
		"CreateSnapshot":            csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
		"DeleteSnapshot":            csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
		"ListSnapshots":             csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS,
		"ControllerGetVolume":       csi.ControllerServiceCapability_RPC_GET_VOLUME,
	}
	forNode := map[string]csi.NodeServiceCapability_RPC_Type{
		"NodeStageVolume":    csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME,
		"NodeUnstageVolume":  csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME,
		"NodeGetVolumeStats": csi.NodeServiceCapability_RPC_GET_VOLUME_STATS,
		"NodeExpandVolume":   csi.NodeServiceCapability_RPC_EXPAND_VOLUME,
	}
	if needed, ok := forController[method]; ok && !c.controller.has(needed) {
		return status.Errorf(codes.Unimplemented, "the driver has no %s", needed)
	}
	if needed, ok := forNode[method]; ok && !c.node.has(needed) {
		return status.Errorf(codes.Unimplemented, "the driver's node service has no %s", needed)
	}
	return nil
}

func (c capabilities) hasTopology() bool {
	return c.service.has(csi.PluginCapability_Service_VOLUME_ACCESSIBILITY_CONSTRAINTS)
}

func (c capabilities) stages() bool {
	return c.node.has(csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME)
}

func (c capabilities) expandsInController() bool {
	return c.controller.has(csi.ControllerServiceCapability_RPC_EXPAND_VOLUME)
}

func (c capabilities) expandsOnNode() bool {
	return c.node.has(csi.NodeServiceCapability_RPC_EXPAND_VOLUME)
}

// offlineOnly says that a volume in use cannot be expanded.
func (c capabilities) offlineOnly() bool {
	return c.expansion.has(csi.PluginCapability_VolumeExpansion_OFFLINE) &&
		!c.expansion.has(csi.PluginCapability_VolumeExpansion_ONLINE)
}
