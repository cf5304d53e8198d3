package provision

import (
	"errors"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
)

// watchSources wakes the claims that wait for their data source, when it changes in a
// way that matters to them.
func watchSources(informers *kube.Informers, queue *controller.Controller[Key]) error {
	w := sourceWaker{informers, queue}
	return errors.Join(
		informers.Handle(informers.Claims, "claims to be cloned", kube.OnChange(func(old, claim *corev1.PersistentVolumeClaim) {
			if old == nil || !SameSource(old, claim) {
				w.wake(source.ClaimKey(claim.Namespace, claim.Name))
			}
		}, func(claim *corev1.PersistentVolumeClaim) { w.wake(source.ClaimKey(claim.Namespace, claim.Name)) })),
		informers.Handle(informers.Volumes, "volumes to be cloned", kube.OnChange(func(_, volume *corev1.PersistentVolume) {
			if ref := volume.Spec.ClaimRef; ref != nil {
				w.wake(source.ClaimKey(ref.Namespace, ref.Name))
			}
		}, func(*corev1.PersistentVolume) {})),
		w.watchSnapshots(),
		w.watchGrants(),
	)
}

type sourceWaker struct {
	informers *kube.Informers
	queue     *controller.Controller[Key]
}

// wake has the claims go on that wait for a source, if there are any: most claims and
// snapshots are nobody's source.
func (w sourceWaker) wake(key source.Key) {
	if waiting, err := w.informers.ClaimsOf(key); err == nil && len(waiting) > 0 {
		w.queue.Wake(SourceChanged(key))
	}
}

func (w sourceWaker) watchSnapshots() error {
	if w.informers.Snapshots == nil {
		return nil
	}
	return w.informers.Handle(w.informers.Snapshots, "snapshots to be restored", kube.OnChange(func(old, snapshot *source.Snapshot) {
		if old == nil || !old.SameToClaims(snapshot) {
			w.wake(snapshot.Object().Key)
		}
	}, func(snapshot *source.Snapshot) { w.wake(snapshot.Object().Key) }))
}

func (w sourceWaker) watchGrants() error {
	if w.informers.Grants == nil {
		return nil
	}
	changed := func(grant *source.Grant) { w.queue.Wake(GrantsChanged(grant.Namespace)) }
	return w.informers.Handle(w.informers.Grants, "grants",
		kube.OnChange(func(_, grant *source.Grant) { changed(grant) }, changed))
}
