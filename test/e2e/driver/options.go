package driver

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/backend"
)

// Services that a driver can serve beside the identity service.
const (
	Controller = "controller"
	Node       = "node"
)

// What a second call does for a volume that a call works on.
const (
	// Abort answers Aborted, as the CSI specification recommends.
	Abort = "abort"
	// Wait lets it wait for its turn.
	Wait = "wait"
)

// Options are what a driver is started with. The zero value of each field but
// the first two has a meaning that is given there.
type Options struct {
	// Endpoint is the path of the CSI socket.
	Endpoint string
	// StateDir holds volumes, their data and the calls.
	StateDir string

	// ControlSocket is the path of the control API; empty for none.
	ControlSocket string
	// RegistrationDir is the kubelet's plugins_registry; empty for none. It
	// needs the node service.
	RegistrationDir string

	// Name is the driver's name (DefaultName).
	Name string
	// NodeID is this node's (DefaultNodeID).
	NodeID string
	// Nodes are those that ControllerPublishVolume knows (NodeID alone).
	Nodes []string
	// Services are Controller and Node (both).
	Services []string
	// Backend is backend.Loop, backend.Directory or backend.Auto (Auto).
	Backend string

	// Segments are the topology of this node (topology.NAME/node=NodeID).
	Segments map[string]string
	// Topologies are where volumes can be (anywhere).
	Topologies []map[string]string

	// Capabilities as names, see [Capabilities] (the defaults).
	Capabilities Capabilities

	// CapacityBytes is what each topology can hold (no limit, which GetCapacity
	// tells as DefaultCapacity).
	CapacityBytes int64
	// MaxVolumeBytes is the size of the largest volume (no limit).
	MaxVolumeBytes int64
	// MaxVolumesPerNode limits attachments (no limit).
	MaxVolumesPerNode int64
	// MutableParameters are the keys that can be modified (all).
	MutableParameters []string
	// InFlight is Abort or Wait (Abort).
	InFlight string

	// RequireExpandCredentials and ExpandCredentials are told in the
	// package's documentation (no credentials).
	RequireExpandCredentials bool
	ExpandCredentials        map[string]string

	// Clock tells the times of calls and volumes (the real one).
	Clock clock.PassiveClock
	// Log takes what the driver says (nothing). Secrets are not said.
	Log logr.Logger
}

// Defaults of the options.
const (
	DefaultName     = "blockstorage.cloudprovider.example"
	DefaultNodeID   = "racknode01"
	DefaultCapacity = 1 << 50 // 1 PiB
)

// DefaultTopologyKey is the key of a node's segment.
func DefaultTopologyKey(driverName string) string { return "topology." + driverName + "/node" }

// complete fills in the defaults and says what is wrong.
func (o Options) complete() (Options, error) {
	o.Endpoint = strings.TrimPrefix(o.Endpoint, "unix://")
	o.Name = cmp.Or(o.Name, DefaultName)
	o.NodeID = cmp.Or(o.NodeID, DefaultNodeID)
	o.Backend = cmp.Or(o.Backend, backend.Auto)
	o.InFlight = cmp.Or(o.InFlight, Abort)
	if len(o.Nodes) == 0 {
		o.Nodes = []string{o.NodeID}
	}
	if len(o.Services) == 0 {
		o.Services = []string{Controller, Node}
	}
	if len(o.Segments) == 0 {
		o.Segments = map[string]string{DefaultTopologyKey(o.Name): o.NodeID}
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	return o, o.validate()
}

func (o Options) validate() error {
	if o.Endpoint == "" || o.StateDir == "" {
		return fmt.Errorf("endpoint and state directory are required")
	}
	for _, service := range o.Services {
		if service != Controller && service != Node {
			return fmt.Errorf("service is %q: want %s or %s", service, Controller, Node)
		}
	}
	if o.InFlight != Abort && o.InFlight != Wait {
		return fmt.Errorf("in-flight is %q: want %s or %s", o.InFlight, Abort, Wait)
	}
	if o.CapacityBytes < 0 || o.MaxVolumeBytes < 0 || o.MaxVolumesPerNode < 0 {
		return fmt.Errorf("limits may not be negative")
	}
	return nil
}
