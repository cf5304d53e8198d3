package capacity

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

// Write is what must be written: an object that does not exist, or the state To
// of the object From. The zero value is: nothing.
type Write struct {
	Create   *storagev1.CSIStorageCapacity
	From, To *storagev1.CSIStorageCapacity
}

// Conclude says what must be written with the driver's answer. Keep is the object
// that exists; nil when one must be made. The error is about an answer that does
// not follow the CSI specification.
func Conclude(in Input, keep *storagev1.CSIStorageCapacity, answer *csipb.GetCapacityResponse) (Write, error) {
	if n := answer.GetAvailableCapacity(); n < 0 {
		return Write{}, fmt.Errorf("the CSI driver reports an available capacity of %d bytes, which must not be negative: this is a fault of the driver", n)
	}
	if n := answer.GetMaximumVolumeSize().GetValue(); n < 0 {
		return Write{}, fmt.Errorf("the CSI driver reports a maximum volume size of %d bytes, which must not be negative: this is a fault of the driver", n)
	}
	capacity, largest := resource.NewQuantity(answer.GetAvailableCapacity(), resource.BinarySI), maximum(answer)
	if keep == nil {
		return Write{Create: in.object(capacity, largest)}, nil
	}
	to := keep.DeepCopy()
	if !same(to.Capacity, capacity) {
		to.Capacity = capacity
	}
	if !same(to.MaximumVolumeSize, largest) {
		to.MaximumVolumeSize = largest
	}
	to.OwnerReferences = in.owners(keep.OwnerReferences)
	if same(keep.Capacity, capacity) && same(keep.MaximumVolumeSize, largest) && len(to.OwnerReferences) == len(keep.OwnerReferences) {
		return Write{}, nil
	}
	return Write{From: keep, To: to}, nil
}

func maximum(answer *csipb.GetCapacityResponse) *resource.Quantity {
	if answer.GetMaximumVolumeSize() == nil {
		return nil
	}
	return resource.NewQuantity(answer.GetMaximumVolumeSize().GetValue(), resource.BinarySI)
}

// same tells whether two quantities, either of which may be missing, are equal,
// however they are written.
func same(a, b *resource.Quantity) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Cmp(*b) == 0
}

func (in Input) object(capacity, largest *resource.Quantity) *storagev1.CSIStorageCapacity {
	labels := make(map[string]string, len(in.Segment))
	for _, segment := range in.Segment {
		labels[segment.Key] = segment.Value
	}
	return &storagev1.CSIStorageCapacity{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: in.Namespace,
			Name:      in.Name(),
			Labels: map[string]string{
				names.CapacityDriver:    in.Driver,
				names.CapacityManagedBy: in.ManagedBy,
			},
			OwnerReferences: in.owners(nil),
		},
		StorageClassName:  in.Class.Name,
		NodeTopology:      &metav1.LabelSelector{MatchLabels: labels},
		Capacity:          capacity,
		MaximumVolumeSize: largest,
	}
}

// nameLength is the number of characters, of 5 bits each, that tell names apart.
const nameLength = 20

// Name returns the name of the pair's object. It is made from what the object is
// for, so that two processes that don't know of each other can't make two objects
// for one pair. Objects that external-provisioner has made have others.
func (in Input) Name() string {
	text := strings.Join([]string{in.Driver, in.ManagedBy, in.Class.Name, in.Segment.String()}, "\n")
	sum := sha256.Sum256([]byte(text))
	return names.CapacityPrefix + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:nameLength])
}

// owners returns the owner references with the owner that is set. Others stay;
// as an object can have one controller only, the owner is another kind of owner
// beside a controller.
func (in Input) owners(existing []metav1.OwnerReference) []metav1.OwnerReference {
	if in.Owner == nil || slices.ContainsFunc(existing, func(o metav1.OwnerReference) bool { return o.UID == in.Owner.UID }) {
		return existing
	}
	owner := *in.Owner
	if slices.ContainsFunc(existing, func(o metav1.OwnerReference) bool { return o.Controller != nil && *o.Controller }) {
		owner.Controller = nil
	}
	return append(slices.Clone(existing), owner)
}
