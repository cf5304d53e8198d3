package capability_test

import (
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
)

func plugin(types ...csipb.PluginCapability_Service_Type) []*csipb.PluginCapability {
	var made []*csipb.PluginCapability
	for _, t := range types {
		made = append(made, &csipb.PluginCapability{Type: &csipb.PluginCapability_Service_{
			Service: &csipb.PluginCapability_Service{Type: t},
		}})
	}
	return made
}

func rpc(types ...csipb.ControllerServiceCapability_RPC_Type) []*csipb.ControllerServiceCapability {
	var made []*csipb.ControllerServiceCapability
	for _, t := range types {
		made = append(made, &csipb.ControllerServiceCapability{Type: &csipb.ControllerServiceCapability_Rpc{
			Rpc: &csipb.ControllerServiceCapability_RPC{Type: t},
		}})
	}
	return made
}

func TestFrom(t *testing.T) {
	const (
		service       = csipb.PluginCapability_Service_CONTROLLER_SERVICE
		accessibility = csipb.PluginCapability_Service_VOLUME_ACCESSIBILITY_CONSTRAINTS
		groups        = csipb.PluginCapability_Service_GROUP_CONTROLLER_SERVICE
		createDelete  = csipb.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME
		publish       = csipb.ControllerServiceCapability_RPC_PUBLISH_UNPUBLISH_VOLUME
		multiWriter   = csipb.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER
		expand        = csipb.ControllerServiceCapability_RPC_EXPAND_VOLUME
		modify        = csipb.ControllerServiceCapability_RPC_MODIFY_VOLUME
		snapshot      = csipb.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT
		getCapacity   = csipb.ControllerServiceCapability_RPC_GET_CAPACITY
		clone         = csipb.ControllerServiceCapability_RPC_CLONE_VOLUME
		getVolume     = csipb.ControllerServiceCapability_RPC_GET_VOLUME
	)
	for name, test := range map[string]struct {
		plugin     []*csipb.PluginCapability
		controller []*csipb.ControllerServiceCapability
		want       capability.Set
	}{
		"none":         {nil, nil, capability.Set{}},
		"nil entries":  {[]*csipb.PluginCapability{nil, {}}, []*csipb.ControllerServiceCapability{nil, {}}, capability.Set{}},
		"service":      {plugin(service), nil, capability.Set{ControllerService: true}},
		"topology":     {plugin(accessibility), nil, capability.Set{Topology: true}},
		"create":       {nil, rpc(createDelete), capability.Set{CreateDelete: true}},
		"publish":      {nil, rpc(publish), capability.Set{PublishUnpublish: true}},
		"multi-writer": {nil, rpc(multiWriter), capability.Set{SingleNodeMultiWriter: true}},
		"expand":       {nil, rpc(expand), capability.Set{ControllerExpand: true}},
		"modify":       {nil, rpc(modify), capability.Set{Modify: true}},
		"capacity":     {nil, rpc(getCapacity), capability.Set{GetCapacity: true}},
		"snapshot":     {nil, rpc(snapshot), capability.Set{Snapshot: true}},
		"clone":        {nil, rpc(clone), capability.Set{Clone: true}},
		"others":       {plugin(groups, 999), rpc(getVolume, 999), capability.Set{}},
		"of another kind of plugin capability": {
			[]*csipb.PluginCapability{{Type: &csipb.PluginCapability_VolumeExpansion_{
				VolumeExpansion: &csipb.PluginCapability_VolumeExpansion{Type: csipb.PluginCapability_VolumeExpansion_ONLINE},
			}}}, nil, capability.Set{},
		},
		"all": {
			plugin(accessibility, groups, service), rpc(multiWriter, expand, publish, modify, clone, snapshot, getCapacity, createDelete, createDelete),
			capability.Set{
				ControllerService: true, Topology: true, CreateDelete: true, PublishUnpublish: true, SingleNodeMultiWriter: true,
				ControllerExpand: true, Modify: true, Snapshot: true, Clone: true, GetCapacity: true,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, capability.Set{}.FromPlugin(test.plugin).FromController(test.controller)); diff != "" {
				t.Errorf("capabilities (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, capability.Set{}.FromController(test.controller).FromPlugin(test.plugin)); diff != "" {
				t.Errorf("capabilities in the other order (-want +got):\n%s", diff)
			}
		})
	}
}

func node(types ...csipb.NodeServiceCapability_RPC_Type) []*csipb.NodeServiceCapability {
	var made []*csipb.NodeServiceCapability
	for _, t := range types {
		made = append(made, &csipb.NodeServiceCapability{Type: &csipb.NodeServiceCapability_Rpc{
			Rpc: &csipb.NodeServiceCapability_RPC{Type: t},
		}})
	}
	return made
}

func TestFromNode(t *testing.T) {
	const (
		expand = csipb.NodeServiceCapability_RPC_EXPAND_VOLUME
		stage  = csipb.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME
	)
	for name, test := range map[string]struct {
		capabilities []*csipb.NodeServiceCapability
		want         capability.Set
	}{
		"none":        {nil, capability.Set{Modify: true}},
		"nil entries": {[]*csipb.NodeServiceCapability{nil, {}}, capability.Set{Modify: true}},
		"others":      {node(stage, 999), capability.Set{Modify: true}},
		"expand":      {node(stage, expand, expand), capability.Set{Modify: true, NodeExpand: true}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, capability.Set{Modify: true}.FromNode(test.capabilities)); diff != "" {
				t.Errorf("capabilities (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMissingForVolumes(t *testing.T) {
	const service, create = "plugin capability CONTROLLER_SERVICE", "controller capability CREATE_DELETE_VOLUME"
	for name, test := range map[string]struct {
		set  capability.Set
		want string
	}{
		"nothing there":  {capability.Set{}, service},
		"service alone":  {capability.Set{ControllerService: true}, create},
		"create alone":   {capability.Set{CreateDelete: true}, service},
		"both":           {capability.Set{ControllerService: true, CreateDelete: true}, ""},
		"all but create": {capability.Set{ControllerService: true, Topology: true, PublishUnpublish: true, SingleNodeMultiWriter: true}, create},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.set.MissingForVolumes(); got != test.want {
				t.Errorf("missing is %q, want %q", got, test.want)
			}
		})
	}
}
