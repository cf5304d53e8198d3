package capacity

import (
	"maps"
	"slices"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/capacity"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// The methods of this file tell the controller of what changes. All of them may be
// called at once, also before it runs.

// SetNode tells of a node's labels. It and the next three implement
// kube.NodeObserver.
func (c *Controller) SetNode(name string, labels map[string]string) {
	c.segmentsChanged(c.deps.Segments.SetNode(name, labels))
}

// DeleteNode tells that a node has gone.
func (c *Controller) DeleteNode(name string) {
	c.segmentsChanged(c.deps.Segments.DeleteNode(name))
}

// SetRegistration tells of the driver's registration on a node.
func (c *Controller) SetRegistration(name string, keys []string, registered bool) {
	c.segmentsChanged(c.deps.Segments.SetRegistration(name, keys, registered))
}

// DeleteRegistration tells that a node's registrations have gone.
func (c *Controller) DeleteRegistration(name string) {
	c.segmentsChanged(c.deps.Segments.DeleteRegistration(name))
}

func (c *Controller) segmentsChanged(segments []string) {
	for _, segment := range segments {
		c.lookAtSegment(segment)
	}
}

// ClassChanged tells of a class as it was, nil for one that appears, and is.
func (c *Controller) ClassChanged(old, class *storagev1.StorageClass) {
	if old != nil && old.UID == class.UID {
		return // What matters can't be changed: another class must take its place.
	}
	c.setClass(class.Name, c.config.Publishes(class))
}

// ClassGone tells that a class has gone.
func (c *Controller) ClassGone(class *storagev1.StorageClass) { c.setClass(class.Name, false) }

func (c *Controller) setClass(name string, publishes bool) {
	c.mu.Lock()
	_, published := c.classes[name]
	delete(c.classes, name)
	if publishes {
		c.classes[name] = struct{}{}
	}
	c.mu.Unlock()
	if published || publishes {
		c.lookAtClass(name)
	}
}

// ObjectChanged tells of a CSIStorageCapacity as it was, nil for one that
// appears, and is. What appears may be one too many.
func (c *Controller) ObjectChanged(old, object *storagev1.CSIStorageCapacity) {
	c.written.Seen(object)
	if old == nil {
		c.engine.Add(plan.KeyOf(object))
	}
}

// ObjectGone tells that a CSIStorageCapacity has gone, or lost its labels.
func (c *Controller) ObjectGone(object *storagev1.CSIStorageCapacity) {
	c.written.Seen(object)
	c.engine.Add(plan.KeyOf(object))
}

// VolumeChanged tells of a volume of the driver as it was, nil for one that
// appears, and is. One that is new, or expanded, has taken capacity.
func (c *Controller) VolumeChanged(old, volume *corev1.PersistentVolume) {
	if old == nil || !sameSize(old, volume) {
		c.VolumeGone(volume)
	}
}

func sameSize(a, b *corev1.PersistentVolume) bool {
	return a.Spec.Capacity.Storage().Cmp(*b.Spec.Capacity.Storage()) == 0
}

// VolumeGone tells that a volume of the driver has gone, and has given capacity
// back.
func (c *Controller) VolumeGone(volume *corev1.PersistentVolume) {
	if volume.Spec.CSI == nil || volume.Spec.CSI.Driver != c.config.Driver {
		return
	}
	segments, everywhere := plan.SegmentsOf(volume)
	if everywhere {
		c.lookAtClass(volume.Spec.StorageClassName)
	}
	for _, segment := range segments {
		c.lookAtSegment(segment)
	}
}

// Exhausted tells of a CreateVolume that has failed for want of resources. It is
// the place that was preferred, the one of the scheduler's choice, which has less
// capacity than the scheduler has been told.
func (c *Controller) Exhausted(request *csipb.CreateVolumeRequest) {
	places := append(slices.Clone(request.GetAccessibilityRequirements().GetPreferred()),
		request.GetAccessibilityRequirements().GetRequisite()...)
	segment := topology.Term(nil) // the whole cluster
	if len(places) > 0 {
		segment = topology.NewTerm(places[0].GetSegments())
	}
	c.lookAtSegment(segment.String())
}

// DriverBack tells that the driver has reconnected.
func (c *Controller) DriverBack() { c.engine.Wake(controller.DriverReconnected()) }

func (c *Controller) lookAtSegment(segment string) {
	for _, class := range c.publishedClasses() {
		c.look(plan.Key{Class: class, Segment: segment})
	}
}

func (c *Controller) lookAtClass(class string) {
	for _, segment := range c.deps.Segments.All() {
		c.look(plan.Key{Class: class, Segment: segment})
	}
}

// look has a pair looked at, and the driver asked if it is one that counts.
func (c *Controller) look(key plan.Key) {
	if c.wanted(key) {
		c.setDue(key)
	}
	c.engine.Add(key)
}

// wanted tells whether a pair shall have an object.
func (c *Controller) wanted(key plan.Key) bool {
	c.mu.Lock()
	_, published := c.classes[key.Class]
	c.mu.Unlock()
	return published && c.deps.Segments.Has(key.Segment)
}

func (c *Controller) publishedClasses() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.classes))
}
