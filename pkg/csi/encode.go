package csi

import (
	"fmt"
	"slices"
	"sync"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that this one uses
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	requests "github.com/csi-provisioner/csi-provisioner/pkg/plan/request"
)

// codec encodes messages as gRPC's own codec does, but for long accessibility requirements
// of CreateVolume. In a cluster of thousands of nodes, each a topology segment of its own,
// the requirement is nearly the whole request, and encoding it takes nearly all the time
// and memory that a claim takes. It is the same list for all claims, and in its preferred
// part begins at another place for each: so the list is encoded once, and sent in pieces.
//
// Its name is empty, so that the content type is application/grpc, as it is by default.
type codec struct {
	encoding.CodecV2
	lists *recentLists
}

func newCodec() codec { return codec{CodecV2: encoding.GetCodecV2("proto"), lists: &recentLists{}} }

func (codec) Name() string { return "" }

// longList is the number of topologies from which it pays to remember them.
const longList = 32

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(message any) (mem.BufferSlice, error) {
	request, ok := message.(*csipb.CreateVolumeRequest)
	if !ok || len(request.GetAccessibilityRequirements().GetRequisite()) < longList {
		return c.CodecV2.Marshal(message)
	}
	requirement, err := c.requirement(request.GetAccessibilityRequirements())
	if err != nil {
		return nil, err
	}
	if requirement == nil {
		return c.CodecV2.Marshal(message)
	}
	bare := requests.Copy(request)
	bare.AccessibilityRequirements = nil
	rest, err := c.CodecV2.Marshal(bare)
	if err != nil {
		return nil, fmt.Errorf("encoding a request: %w", err)
	}
	return append(rest, requirement...), nil
}

// The numbers of fields in csi.proto.
const (
	requirementOfCreate protowire.Number = 7
	requisiteOfRequired protowire.Number = 1
	preferredOfRequired protowire.Number = 2
)

// requirement returns the encoded field; nil for one whose preferred list is not the other
// one with another beginning.
func (c codec) requirement(r *csipb.TopologyRequirement) (mem.BufferSlice, error) {
	list, err := c.lists.get(r.GetRequisite())
	if err != nil {
		return nil, err
	}
	first, ok := list.rotation(r.GetPreferred())
	if !ok || len(r.ProtoReflect().GetUnknown()) > 0 {
		return nil, nil
	}
	at := list.begins[first]
	body := [][]byte{list.requisite, list.preferred[at:], list.preferred[:at]}
	size := len(list.requisite) + len(list.preferred)
	head := protowire.AppendVarint(protowire.AppendTag(nil, requirementOfCreate, protowire.BytesType), uint64(size))
	buffers := mem.BufferSlice{mem.SliceBuffer(head)}
	for _, part := range body {
		buffers = append(buffers, mem.SliceBuffer(part))
	}
	return buffers, nil
}

// encodedList is a list of topologies as both parts of a requirement.
type encodedList struct {
	topologies           []*csipb.Topology
	requisite, preferred []byte
	// begins are where the topologies begin in both parts.
	begins []int
}

func newEncodedList(topologies []*csipb.Topology) (*encodedList, error) {
	l := &encodedList{topologies: topologies}
	for _, topology := range topologies {
		encoded, err := proto.Marshal(topology)
		if err != nil {
			return nil, fmt.Errorf("encoding a topology: %w", err)
		}
		l.begins = append(l.begins, len(l.preferred))
		l.requisite = protowire.AppendBytes(protowire.AppendTag(l.requisite, requisiteOfRequired, protowire.BytesType), encoded)
		l.preferred = protowire.AppendBytes(protowire.AppendTag(l.preferred, preferredOfRequired, protowire.BytesType), encoded)
	}
	return l, nil
}

// is tells whether it is this very list. Lists that are shared may not be changed.
func (l *encodedList) is(topologies []*csipb.Topology) bool {
	return len(l.topologies) == len(topologies) && &l.topologies[0] == &topologies[0]
}

// rotation returns the place in the list at which another one begins, that then goes on as
// the list does, from its end to its beginning; false if it does not.
func (l *encodedList) rotation(other []*csipb.Topology) (int, bool) {
	if len(other) != len(l.topologies) {
		return 0, false
	}
	first := slices.Index(l.topologies, other[0])
	if first < 0 {
		return 0, false
	}
	rest := len(other) - first
	return first, slices.Equal(other[:rest], l.topologies[first:]) && slices.Equal(other[rest:], l.topologies[:first])
}

// maxLists is how many lists are remembered: that of the cluster as it is now and was just
// before, and some of classes with allowedTopologies.
const maxLists = 4

// recentLists remembers the last lists that were encoded.
type recentLists struct {
	mu    sync.Mutex
	lists []*encodedList // the last one used comes last
}

func (r *recentLists) get(topologies []*csipb.Topology) (*encodedList, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := slices.IndexFunc(r.lists, func(l *encodedList) bool { return l.is(topologies) })
	if at >= 0 {
		list := r.lists[at]
		r.lists = append(slices.Delete(r.lists, at, at+1), list)
		return list, nil
	}
	list, err := newEncodedList(topologies)
	if err != nil {
		return nil, err
	}
	if len(r.lists) == maxLists {
		r.lists = slices.Delete(r.lists, 0, 1)
	}
	r.lists = append(r.lists, list)
	return list, nil
}
