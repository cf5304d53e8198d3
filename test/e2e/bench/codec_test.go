package bench

import (
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

func TestInstantCodec(t *testing.T) {
	t.Parallel()
	topologies := []*csi.Topology{{Segments: map[string]string{"zone": "a"}}, {Segments: map[string]string{"zone": "b"}}}
	request := &csi.CreateVolumeRequest{
		Name: "pvc-1", CapacityRange: &csi.CapacityRange{RequiredBytes: 7}, Parameters: map[string]string{"a": "b"},
		AccessibilityRequirements: &csi.TopologyRequirement{Requisite: topologies, Preferred: []*csi.Topology{topologies[1], topologies[0]}},
		MutableParameters:         map[string]string{"c": "d"},
	}
	encoded, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	var got csi.CreateVolumeRequest
	if err := newInstantCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(encoded)}, &got); err != nil {
		t.Fatal(err)
	}
	request.AccessibilityRequirements = &csi.TopologyRequirement{Preferred: topologies[1:]}
	if !proto.Equal(&got, request) {
		t.Errorf("decoded %v, want %v", &got, request)
	}
	if err := newInstantCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(encoded[:len(encoded)-1])}, &got); err == nil {
		t.Error("half a message was decoded")
	}
}
