package driver

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/fault"
)

// A call is a request and what is known of it before the work.
type call struct {
	request proto.Message
	public  proto.Message // the request without its secrets
	secrets map[string]string
	subject fault.Subject
}

// describe takes a request apart.
func describe(method string, request proto.Message) call {
	c := call{request: request, subject: fault.Subject{Method: method}}
	c.public, c.secrets = separate(request)
	if r, ok := request.(interface{ GetVolumeId() string }); ok {
		c.subject.VolumeID = r.GetVolumeId()
	}
	if r, ok := request.(interface{ GetCapacityRange() *csi.CapacityRange }); ok {
		c.subject.RequiredBytes = r.GetCapacityRange().GetRequiredBytes()
	}
	if r, ok := request.(*csi.CreateVolumeRequest); ok {
		c.subject.VolumeName = r.GetName()
		c.subject.Parameters = r.GetParameters()
	}
	return c
}

// turn is the key under which calls take turns: one for what happens to a
// volume in the storage, and one for what happens to it on the node.
func (c call) turn() string {
	switch c.request.(type) {
	case *csi.CreateVolumeRequest, *csi.DeleteVolumeRequest, *csi.ControllerExpandVolumeRequest, *csi.ControllerModifyVolumeRequest,
		*csi.ControllerPublishVolumeRequest, *csi.ControllerUnpublishVolumeRequest:
		// The name, if it is known: creating has no ID yet.
		return "volume " + cmp.Or(c.subject.VolumeName, c.subject.VolumeID)
	case *csi.NodeStageVolumeRequest, *csi.NodeUnstageVolumeRequest, *csi.NodePublishVolumeRequest,
		*csi.NodeUnpublishVolumeRequest, *csi.NodeExpandVolumeRequest:
		return "volume " + c.subject.VolumeID + " on the node"
	case *csi.CreateSnapshotRequest, *csi.DeleteSnapshotRequest:
		// There are few, and they need not be told apart.
		return "snapshots"
	default:
		return ""
	}
}

// name completes the subject of a call that tells the volume by its ID alone,
// or by its name alone. One that is to create a volume has its own parameters.
func (d *Driver) name(s *fault.Subject) {
	if s.VolumeID != "" {
		if v, err := d.volumes.Get(s.VolumeID); err == nil {
			s.VolumeName = v.Name
			if s.Method != "CreateVolume" {
				s.Parameters = v.Parameters
			}
		}
		return
	}
	if s.VolumeName != "" {
		if v, err := d.volumes.ByName(s.VolumeName); err == nil {
			s.VolumeID = v.ID
		}
	}
}

func createdID(response proto.Message) string {
	if created, ok := response.(*csi.CreateVolumeResponse); ok {
		return created.GetVolume().GetVolumeId()
	}
	return ""
}

// separate returns a copy of the request without its secrets, and these.
func separate(request proto.Message) (proto.Message, map[string]string) {
	public := proto.Clone(request)
	secrets := map[string]string{}
	message := public.ProtoReflect()
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if !isSecret(field) || !field.IsMap() {
			return true
		}
		value.Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
			secrets[key.String()] = value.String()
			return true
		})
		message.Clear(field)
		return true
	})
	return public, secrets
}

func isSecret(field protoreflect.FieldDescriptor) bool {
	options, ok := field.Options().(*descriptorpb.FieldOptions)
	if !ok {
		return false
	}
	secret, ok := proto.GetExtension(options, csi.E_CsiSecret).(bool)
	return ok && secret
}

// encode writes a message as JSON that is the same each time.
func encode(message proto.Message) (json.RawMessage, error) {
	encoded, err := protojson.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encoding a message: %w", err)
	}
	// protojson varies its white space on purpose.
	var compact bytes.Buffer
	if err := json.Compact(&compact, encoded); err != nil {
		return nil, fmt.Errorf("encoding a message: %w", err)
	}
	return compact.Bytes(), nil
}
