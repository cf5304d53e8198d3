package bench

import (
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that this one uses
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The fields of the CSI messages that the codec knows.
const (
	requirementField = 7 // of CreateVolumeRequest
	preferredField   = 2 // of TopologyRequirement
)

// instantCodec decodes of a topology requirement only the first preferred topology: with
// thousands of nodes, decoding the others would cost more than all that is measured.
type instantCodec struct{ encoding.CodecV2 }

func newInstantCodec() instantCodec { return instantCodec{encoding.GetCodecV2("proto")} }

func (c instantCodec) Unmarshal(data mem.BufferSlice, into any) error {
	request, ok := into.(*csi.CreateVolumeRequest)
	if !ok {
		return c.CodecV2.Unmarshal(data, into)
	}
	rest, requirement, err := take(data.Materialize(), requirementField)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(rest, request); err != nil || requirement == nil {
		return err
	}
	_, first, err := take(requirement, preferredField)
	if err != nil || first == nil {
		return err
	}
	preferred := &csi.Topology{}
	request.AccessibilityRequirements = &csi.TopologyRequirement{Preferred: []*csi.Topology{preferred}}
	return proto.Unmarshal(first, preferred)
}

// take splits a message into the first value of a field and all that comes before and
// after it.
func take(message []byte, field protowire.Number) (rest, value []byte, err error) {
	for at := 0; at < len(message); {
		number, kind, tag := protowire.ConsumeTag(message[at:])
		if tag < 0 {
			return nil, nil, fmt.Errorf("reading a message: %w", protowire.ParseError(tag))
		}
		size := protowire.ConsumeFieldValue(number, kind, message[at+tag:])
		if size < 0 {
			return nil, nil, fmt.Errorf("reading a message: %w", protowire.ParseError(size))
		}
		end := at + tag + size
		if number == field && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message[at+tag : end])
			return append(message[:at:at], message[end:]...), value, nil
		}
		at = end
	}
	return message, nil, nil
}
