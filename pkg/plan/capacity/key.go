package capacity

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// Key names a pair of a class and a topology segment. Keys of the same pair are
// equal, so that a queue holds each pair once.
type Key struct {
	// Class is the name of a StorageClass.
	Class string
	// Segment is a segment in the form of topology.Term.String, zone=a,rack=7; it
	// is empty for the whole cluster.
	Segment string
}

// String is the form class/segment. Neither names of classes nor the keys and
// values of segments can make two pairs look the same.
func (k Key) String() string { return k.Class + "/" + k.Segment }

// nowhere is the segment of objects whose node selector is that of no segment.
// No segment has a string without an equals sign but the empty one.
const nowhere = "nowhere"

// KeyOf returns the pair that an object is for.
func KeyOf(object *storagev1.CSIStorageCapacity) Key {
	key := Key{Class: object.StorageClassName, Segment: nowhere}
	if selector := object.NodeTopology; selector != nil && len(selector.MatchExpressions) == 0 {
		key.Segment = topology.NewTerm(selector.MatchLabels).String()
	}
	return key
}

// SegmentsOf returns the segments whose free capacity a volume has changed, by
// the volume's node affinity. Of a volume that can be used everywhere it tells
// just that.
func SegmentsOf(volume *corev1.PersistentVolume) (segments []string, everywhere bool) {
	if volume.Spec.NodeAffinity == nil || volume.Spec.NodeAffinity.Required == nil {
		return nil, true
	}
	for _, term := range volume.Spec.NodeAffinity.Required.NodeSelectorTerms {
		if segment, ok := segmentOf(term); ok {
			segments = append(segments, segment)
		}
	}
	return segments, false
}

// segmentOf returns the segment that a node selector's term stands for: that of
// a term that a driver's topology has become.
func segmentOf(term corev1.NodeSelectorTerm) (string, bool) {
	if len(term.MatchFields) > 0 || len(term.MatchExpressions) == 0 {
		return "", false
	}
	segments := make(map[string]string, len(term.MatchExpressions))
	for _, expression := range term.MatchExpressions {
		_, twice := segments[expression.Key]
		if twice || expression.Operator != corev1.NodeSelectorOpIn || len(expression.Values) != 1 {
			return "", false
		}
		segments[expression.Key] = expression.Values[0]
	}
	return topology.NewTerm(segments).String(), true
}
