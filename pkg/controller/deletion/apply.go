package deletion

import (
	"context"
	"errors"
	"fmt"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/deletion"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// apply does what the planner says.
func (c *Controller) apply(ctx context.Context, volume *corev1.PersistentVolume, d deletion.Decision) (controller.Result, error) {
	switch d.Verdict {
	case deletion.Skip:
	case deletion.AddFinalizer:
		return controller.Result{}, c.deps.Store.AddFinalizer(ctx, volume)
	case deletion.RemoveFinalizer:
		// Without it, somebody may delete the PersistentVolume to keep the volume;
		// after a crash it would then look as if it had never been stored.
		if err := c.settle(ctx, volume); err != nil {
			return c.whenSettled(volume, err)
		}
		if err := c.still(ctx, volume, d); err != nil {
			return c.withdrawn(ctx, err)
		}
		return controller.Result{}, c.deps.Store.RemoveFinalizer(ctx, volume)
	case deletion.Wait:
		c.report(volume, d.Err)
		return controller.Result{
			RequeueAfter: c.config.AttachedRetry,
			WaitFor:      []controller.Dependency{controller.Detached(volume.Name)},
		}, controller.Terminal(d.Err)
	case deletion.Reject:
		return c.failed(volume, d.Err, controller.ClassChanged(volume.Spec.StorageClassName))
	case deletion.Act:
		if err := c.settle(ctx, volume); err != nil {
			return c.whenSettled(volume, err)
		}
		started := c.deps.Clock.Now()
		err := c.delete(ctx, volume, d)
		if errors.Is(err, csi.ErrWithdrawn) {
			return c.withdrawn(ctx, err)
		}
		if err != nil {
			return c.failed(volume, err)
		}
		c.deps.Metrics.Deleted(volume.Spec.StorageClassName, c.deps.Clock.Since(started))
	}
	return controller.Result{}, nil
}

// still returns an error when what was decided about a volume is no longer right, as
// the caches are now. It is asked after each wait.
func (c *Controller) still(ctx context.Context, volume *corev1.PersistentVolume, d deletion.Decision) error {
	current, err := c.volume(volume.Name)
	if err != nil {
		return err
	}
	if current == nil || current.UID != volume.UID {
		return fmt.Errorf("PersistentVolume %q has gone", volume.Name)
	}
	input, err := c.gather(ctx, current)
	if err != nil {
		return err
	}
	return d.Still(input)
}

// withdrawn has the volume reconciled again at once. Nothing has failed.
func (c *Controller) withdrawn(ctx context.Context, err error) (controller.Result, error) {
	klog.FromContext(ctx).Info("Not deleting the volume or its finalizer, as something has changed: deciding again", "reason", err)
	return controller.Result{Again: true}, nil
}

// openRetry is the time until a volume is looked at again whose creation has not
// come to its end.
const openRetry = time.Second

// settle waits until nobody will create the volume again: neither this process
// nor, after a crash, the next one.
func (c *Controller) settle(ctx context.Context, volume *corev1.PersistentVolume) error {
	ref := volume.Spec.ClaimRef
	if ref == nil || ref.UID == "" {
		return nil
	}
	if err := c.deps.Journal.Settle(ctx, ref.UID); err != nil {
		return fmt.Errorf("waiting for the end of the creation of PersistentVolume %q: %w", volume.Name, err)
	}
	return nil
}

// whenSettled has the volume looked at again. That its creation is still open,
// nobody need be told: the claim's events do.
func (c *Controller) whenSettled(volume *corev1.PersistentVolume, err error) (controller.Result, error) {
	if errors.Is(err, journal.ErrOpen) {
		return controller.Result{RequeueAfter: openRetry}, nil
	}
	return c.failed(volume, err)
}

// delete deletes the volume, then the PersistentVolume. The finalizer goes
// before the object: if the process dies in between, the PersistentVolume is
// still due, and deleting the volume once more does no harm (CSI spec,
// DeleteVolume is idempotent).
func (c *Controller) delete(ctx context.Context, volume *corev1.PersistentVolume, d deletion.Decision) error {
	credentials := c.credentials(ctx, d.Secret)
	migrated := c.deps.InTree.PluginOf(volume) != ""
	err := c.deps.Driver.DeleteVolume(csi.ForMigrated(ctx, migrated), &csipb.DeleteVolumeRequest{VolumeId: d.Handle, Secrets: credentials.Reveal()},
		csi.IfStill(func() error { return c.still(ctx, volume, d) }))
	if errors.Is(err, csi.ErrWithdrawn) {
		return err
	}
	if err != nil && !csi.NotFound(err) {
		if d.Secret != nil {
			c.deps.Secrets.Forget(*d.Secret)
		}
		return fmt.Errorf("deleting volume %q at CSI driver %q: %w", d.Handle, c.config.Driver, csi.Plain(err))
	}
	// The informer may show that it is gone before the calls return, or may have shown it
	// while the driver was at work.
	c.deleted.Expect(string(volume.UID), func() bool {
		shown, err := c.deps.Volumes.Get(volume.Name)
		return err != nil || shown.UID != volume.UID
	})
	if err := c.forgetVolume(ctx, volume); err != nil {
		c.deleted.Observe(string(volume.UID))
		return err
	}
	return nil
}

// forgetVolume removes the PersistentVolume of a volume that is gone.
func (c *Controller) forgetVolume(ctx context.Context, volume *corev1.PersistentVolume) error {
	if deletion.HasFinalizer(volume) {
		if err := c.deps.Store.RemoveFinalizer(ctx, volume); err != nil {
			return err
		}
	}
	return c.deps.Store.Delete(ctx, volume.Name, volume.UID)
}

// credentials reads the Secret for DeleteVolume. One that can't be read is no
// reason to keep the volume: many drivers need none to delete, and Secrets are
// often deleted together with the claims. The driver says if it does need it.
func (c *Controller) credentials(ctx context.Context, ref *secrets.Ref) secrets.Credentials {
	credentials, err := kube.ReadCredentials(ctx, c.deps.Secrets, ref, "DeleteVolume")
	if err != nil {
		klog.FromContext(ctx).Error(err, "Deleting the volume without its secret")
	}
	return credentials
}
