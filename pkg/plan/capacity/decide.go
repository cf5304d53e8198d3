package capacity

import (
	"cmp"
	"slices"
	"strings"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// Settings are what is the same for all pairs.
type Settings struct {
	// Driver is the driver's name, and Topology tells whether it reports the
	// capability VOLUME_ACCESSIBILITY_CONSTRAINTS.
	Driver   string
	Topology bool
	// Immediate tells whether classes that bind immediately count, too.
	Immediate bool
	// Namespace is that of the objects.
	Namespace string
	// ManagedBy is the value of names.CapacityManagedBy; see [ManagedBy].
	ManagedBy string
	// Owner is whom the objects go with; nil for nobody.
	Owner *metav1.OwnerReference
}

// Input is everything that a decision about one pair depends on.
type Input struct {
	Settings
	// Class is the pair's class; nil when there is none of that name.
	Class *storagev1.StorageClass
	// Segment is the pair's segment; Exists is false when there is none like it in
	// the cluster.
	Segment topology.Term
	Exists  bool
	// Objects are those for the pair, by [KeyOf], whoever has made them.
	Objects []*storagev1.CSIStorageCapacity
	// Due tells that the driver must be asked, even if there is an object already.
	Due bool
}

// Decision is the answer to an [Input]. The zero value is: nothing to do.
type Decision struct {
	// Delete are the objects that must go.
	Delete []*storagev1.CSIStorageCapacity
	// Request is what the driver must be asked; nil for nothing. Its answer is for
	// [Conclude].
	Request *csipb.GetCapacityRequest
	// Keep is the object that stays; nil when one must be made.
	Keep *storagev1.CSIStorageCapacity
}

// Publishes tells whether the capacity for a class is published: it is the
// driver's, and the scheduler makes use of the capacity, or is told to be given
// it all the same.
func (s Settings) Publishes(class *storagev1.StorageClass) bool {
	return class != nil && class.Provisioner == s.Driver && (s.Immediate || !bindsAtOnce(class))
}

// bindsAtOnce tells the binding mode. The API server fills it in, so that it is
// only empty where there is no API server.
func bindsAtOnce(class *storagev1.StorageClass) bool {
	return class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingImmediate
}

// Owns tells whether an object is this program's to change and delete.
func (s Settings) Owns(object *storagev1.CSIStorageCapacity) bool {
	return object.Labels[names.CapacityDriver] == s.Driver && object.Labels[names.CapacityManagedBy] == s.ManagedBy
}

// Decide says what to do about a pair.
func Decide(in Input) Decision {
	var living []*storagev1.CSIStorageCapacity
	ending := false
	for _, object := range in.Objects {
		switch {
		case !in.Owns(object):
		case object.DeletionTimestamp != nil:
			ending = true
		default:
			living = append(living, object)
		}
	}
	slices.SortFunc(living, older)
	if !in.Exists || !in.Publishes(in.Class) {
		return Decision{Delete: living}
	}
	var d Decision
	if len(living) > 0 {
		d.Keep, d.Delete = living[0], living[1:]
	}
	// An object that is still being deleted is in the way of its successor.
	if d.Keep == nil && !ending || d.Keep != nil && in.Due {
		d.Request = in.request()
	}
	return d
}

// older orders objects by age. Of equals the name decides, so that everybody
// keeps the same one.
func older(a, b *storagev1.CSIStorageCapacity) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
}

// request asks for what CreateVolume would get (CSI spec, GetCapacity). The
// capacity is taken to be the same for all volume capabilities.
func (in Input) request() *csipb.GetCapacityRequest {
	request := &csipb.GetCapacityRequest{Parameters: parameters(in.Class)}
	if in.Topology {
		request.AccessibleTopology = in.Segment.CSI()
	}
	return request
}

// parameters are the class's as CreateVolume gets them: without those for the
// sidecars.
func parameters(class *storagev1.StorageClass) map[string]string {
	kept := make(map[string]string, len(class.Parameters))
	for key, value := range class.Parameters {
		if !strings.HasPrefix(key, names.ParameterPrefix) {
			kept[key] = value
		}
	}
	return kept
}
