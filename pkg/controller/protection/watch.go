package protection

import (
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

// Watch has sources looked at when they, or those that need them, change, beginning with
// what there is now.
func (c *Controller) Watch(informers *kube.Informers, queue *controller.Controller[source.Key]) error {
	return errors.Join(
		informers.Handle(informers.Claims, "claims that are sources or have one", kube.OnChange(func(old, claim *corev1.PersistentVolumeClaim) {
			if old != nil && wants(old) && (!wants(claim) || old.UID != claim.UID) {
				sourceOf(old, queue)
			}
			if endMayBeDue(old, claim) {
				queue.Add(source.ClaimKey(claim.Namespace, claim.Name))
			}
		}, func(claim *corev1.PersistentVolumeClaim) { sourceOf(claim, queue) })),
		watchSnapshots(informers, queue),
	)
}

// endMayBeDue tells whether the protection of a claim has to be looked at: when it is
// seen first, and when the claim is deleted.
func endMayBeDue(old, claim *corev1.PersistentVolumeClaim) bool {
	if !isProtected(claim) {
		return false
	}
	return old == nil || !isProtected(old) || old.DeletionTimestamp == nil && claim.DeletionTimestamp != nil
}

func isProtected(claim *corev1.PersistentVolumeClaim) bool {
	return slices.Contains(claim.Finalizers, names.CloneFinalizer)
}

// wants tells whether a claim may still get its volume from a source.
func wants(claim *corev1.PersistentVolumeClaim) bool {
	return claim.Spec.VolumeName == "" && claim.DeletionTimestamp == nil
}

// sourceOf has the source of a claim looked at that no longer needs it.
func sourceOf(claim *corev1.PersistentVolumeClaim, queue *controller.Controller[source.Key]) {
	if ref, ok := source.Of(claim); ok && (ref.IsSnapshot() || ref.IsClaim()) {
		queue.Add(ref.Key)
	}
}

// watchSnapshots looks at snapshots that change. Those there are at the start are looked
// at all at once, by who runs the queue.
func watchSnapshots(informers *kube.Informers, queue *controller.Controller[source.Key]) error {
	if informers.Snapshots == nil {
		return nil
	}
	return informers.Handle(informers.Snapshots, "snapshots that are kept", kube.OnChange(func(old, snapshot *source.Snapshot) {
		if len(snapshot.Finalizers) > 0 && old != nil {
			queue.Add(snapshot.Object().Key)
		}
	}, func(*source.Snapshot) {}))
}
