package fault

import (
	"encoding/json"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// paddingKey is the key in the volume context that holds the padding.
const paddingKey = "padding"

// alter makes a response as the rule wants it.
func alter(rule control.Rule, response proto.Message) (proto.Message, error) {
	if rule.CapacityDelta == 0 && rule.PadBytes == 0 && len(rule.Response) == 0 {
		return response, nil
	}
	altered := proto.Clone(response)
	addCapacity(altered, rule.CapacityDelta)
	if created, ok := altered.(*csi.CreateVolumeResponse); ok && rule.PadBytes > 0 && created.Volume != nil {
		if created.Volume.VolumeContext == nil {
			created.Volume.VolumeContext = map[string]string{}
		}
		created.Volume.VolumeContext[paddingKey] = padding(rule.PadBytes)
	}
	if len(rule.Response) == 0 {
		return altered, nil
	}
	return patch(altered, rule.Response)
}

func addCapacity(response proto.Message, delta int64) {
	switch r := response.(type) {
	case *csi.CreateVolumeResponse:
		if r.Volume != nil {
			r.Volume.CapacityBytes += delta
		}
	case *csi.ControllerExpandVolumeResponse:
		r.CapacityBytes += delta
	case *csi.NodeExpandVolumeResponse:
		r.CapacityBytes += delta
	case *csi.GetCapacityResponse:
		r.AvailableCapacity += delta
	}
}

// patch applies a JSON merge patch to the JSON form of a message.
func patch(message proto.Message, change json.RawMessage) (proto.Message, error) {
	encoded, err := protojson.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encoding the response: %w", err)
	}
	var target, delta any
	if err := json.Unmarshal(encoded, &target); err != nil {
		return nil, fmt.Errorf("decoding the response: %w", err)
	}
	if err := json.Unmarshal(change, &delta); err != nil {
		return nil, fmt.Errorf("decoding the patch: %w", err)
	}
	merged, err := json.Marshal(merge(target, delta))
	if err != nil {
		return nil, fmt.Errorf("encoding the patched response: %w", err)
	}
	patched := message.ProtoReflect().New().Interface()
	if err := protojson.Unmarshal(merged, patched); err != nil {
		return nil, fmt.Errorf("decoding the patched response: %w", err)
	}
	return patched, nil
}

// merge is the algorithm of RFC 7386, section 2.
func merge(target, delta any) any {
	changes, ok := delta.(map[string]any)
	if !ok {
		return delta
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for key, value := range changes {
		if value == nil {
			delete(object, key)
			continue
		}
		object[key] = merge(object[key], value)
	}
	return object
}
