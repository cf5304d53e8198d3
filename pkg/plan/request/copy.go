package request

import (
	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Copy returns a request whose fields can be set, and that shares what they hold with the
// original. It copies field by field, so that one that a later version of CSI adds is not
// lost.
func Copy(r *csipb.CreateVolumeRequest) *csipb.CreateVolumeRequest {
	copied := &csipb.CreateVolumeRequest{}
	from, to := r.ProtoReflect(), copied.ProtoReflect()
	from.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		to.Set(field, value)
		return true
	})
	to.SetUnknown(from.GetUnknown())
	return copied
}
