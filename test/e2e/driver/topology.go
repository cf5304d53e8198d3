package driver

import (
	"maps"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// place chooses where a new volume goes. It returns nil if the driver knows no
// topology.
func (d *Driver) place(asked *csi.TopologyRequirement, size int64) ([]map[string]string, error) {
	if !d.capabilities.hasTopology() {
		return nil, nil
	}
	var candidates []map[string]string
	for _, terms := range [][]*csi.Topology{asked.GetPreferred(), asked.GetRequisite()} {
		for _, term := range terms {
			if served := d.satisfy(term.GetSegments()); served != nil {
				candidates = append(candidates, served)
			}
		}
	}
	if len(asked.GetPreferred())+len(asked.GetRequisite()) == 0 {
		candidates = append(candidates, d.home())
	}
	for _, candidate := range candidates {
		enough, err := d.holds(candidate, size)
		if err != nil {
			return nil, err
		}
		if enough {
			return []map[string]string{candidate}, nil
		}
	}
	return nil, status.Errorf(codes.ResourceExhausted,
		"none of the %d topologies that the driver serves of those asked for has %d bytes", len(candidates), size)
}

// satisfy returns the topology of the driver's that satisfies a term, or nil. A
// driver whose volumes can be anywhere takes the term as it is.
func (d *Driver) satisfy(term map[string]string) map[string]string {
	if len(d.options.Topologies) == 0 {
		return term
	}
	for _, topology := range d.options.Topologies {
		if includes(topology, term) {
			return topology
		}
	}
	return nil
}

// home is where a volume goes that may go anywhere.
func (d *Driver) home() map[string]string {
	if len(d.options.Topologies) > 0 {
		return d.options.Topologies[0]
	}
	return d.options.Segments
}

func includes(topology, term map[string]string) bool {
	for key, value := range term {
		if topology[key] != value {
			return false
		}
	}
	return true
}

// holds says whether there is room in a topology. Without a limit nothing is
// counted: creating stays cheap with thousands of volumes.
func (d *Driver) holds(topology map[string]string, size int64) (bool, error) {
	if d.options.CapacityBytes == 0 {
		return true, nil
	}
	free, err := d.free(topology)
	return size <= free, err
}

// free is the capacity that is left in a topology.
func (d *Driver) free(topology map[string]string) (int64, error) {
	if d.options.CapacityBytes == 0 {
		return DefaultCapacity, nil
	}
	all, err := d.volumes.List()
	if err != nil {
		return 0, err
	}
	free := d.options.CapacityBytes
	for _, v := range all {
		if len(v.Topology) == 0 || maps.Equal(v.Topology[0], topology) {
			free -= v.CapacityBytes
		}
	}
	return max(free, 0), nil
}

func int64Value(value int64) *wrapperspb.Int64Value { return wrapperspb.Int64(value) }
