package deletion

import (
	"context"
	"errors"
	"fmt"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/deletion"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
)

// Deps are what the controller works with; all are needed.
type Deps struct {
	Volumes     corelisters.PersistentVolumeLister
	Classes     storagelisters.StorageClassLister
	Attachments Attachments
	InTree      InTree

	Driver  csi.Volumes
	Secrets SecretReader
	Store   VolumeStore
	Journal Journal
	Events  EventSender

	Metrics *metrics.Volumes
	Locks   *controller.VolumeLocks
	Clock   clock.PassiveClock
}

// Attachments tells to which nodes a volume is attached.
type Attachments interface {
	AttachedTo(volume string) ([]string, error)
}

// InTree shows what is the in-tree plugin's whose place the driver has taken as the
// driver's; see [kube.InTree].
type InTree interface {
	PluginOf(volume *corev1.PersistentVolume) string
	AsCSI(ctx context.Context, volume *corev1.PersistentVolume) (*corev1.PersistentVolume, error)
	Class(ctx context.Context, class *storagev1.StorageClass) (*storagev1.StorageClass, error)
}

// SecretReader reads Secrets; see [kube.Secrets].
type SecretReader interface {
	Get(ctx context.Context, ref secrets.Ref) (secrets.Credentials, error)
	Forget(ref secrets.Ref)
}

// VolumeStore changes PersistentVolumes; see [kube.Volumes].
type VolumeStore interface {
	AddFinalizer(ctx context.Context, volume *corev1.PersistentVolume) error
	RemoveFinalizer(ctx context.Context, volume *corev1.PersistentVolume) error
	Delete(ctx context.Context, name string, uid types.UID) error
}

// Journal tells whether creating a volume has come to its end; see
// [journal.Journal].
type Journal interface {
	Settle(ctx context.Context, claim types.UID) error
}

// EventSender sends events; see [kube.Events].
type EventSender interface {
	Warning(object runtime.Object, reason, message string)
}

// Config is what the controller is set to.
type Config struct {
	Driver       string
	Capabilities capability.Set
	// Home is the own node in node deployment; nil outside of it.
	Home *topology.Home
	// AttachedRetry is the time until an attached volume is looked at again
	// without having been told that it is detached.
	AttachedRetry time.Duration
}

// Controller deletes volumes. It implements controller.Reconciler with the names
// of PersistentVolumes for keys.
type Controller struct {
	deps   Deps
	config Config
	// deleted are the PersistentVolumes, by UID, that the informer still shows.
	deleted *kube.Expectations
}

// New returns a controller; it starts nothing.
func New(deps Deps, config Config) *Controller {
	return &Controller{deps: deps, config: config, deleted: &kube.Expectations{}}
}

// Detached is woken when a VolumeAttachment of the volume goes away.
func Detached(volume string) controller.Dependency {
	return controller.Dependency{Kind: "VolumeAttachment", Name: volume}
}

// ClassChanged is woken when the class of that name appears, changes or goes.
func ClassChanged(name string) controller.Dependency {
	return controller.Dependency{Kind: "StorageClass", Name: name}
}

// DriverBack is woken when the driver has come back.
func DriverBack() controller.Dependency { return controller.Dependency{Kind: "Driver"} }

// VolumeGone notes that the informer no longer shows a PersistentVolume.
func (c *Controller) VolumeGone(uid types.UID) { c.deleted.Observe(string(uid)) }

// Reconcile brings the PersistentVolume of that name one step nearer to its end,
// if it is due.
func (c *Controller) Reconcile(ctx context.Context, name string) (controller.Result, error) {
	volume, err := c.deps.Volumes.Get(name)
	if apierrors.IsNotFound(err) || err == nil && c.deleted.Pending(string(volume.UID)) {
		return controller.Result{}, nil
	}
	if err != nil {
		return controller.Result{}, fmt.Errorf("reading PersistentVolume %q: %w", name, err)
	}
	unlock, err := c.deps.Locks.Lock(ctx, lockKey(volume))
	if err != nil {
		return controller.Result{}, err
	}
	defer unlock()

	input, err := c.gather(ctx, volume)
	if err != nil && deletion.Due(volume) {
		return c.failed(volume, err)
	}
	if err != nil {
		return controller.Result{}, err
	}
	return c.apply(ctx, volume, deletion.Decide(input))
}

// lockKey is the UID of the volume's claim, under which all that is done about
// the volume takes turns.
func lockKey(volume *corev1.PersistentVolume) string {
	if ref := volume.Spec.ClaimRef; ref != nil && ref.UID != "" {
		return string(ref.UID)
	}
	return string(volume.UID)
}

func (c *Controller) gather(ctx context.Context, volume *corev1.PersistentVolume) (deletion.Input, error) {
	nodes, err := c.deps.Attachments.AttachedTo(volume.Name)
	if err != nil {
		return deletion.Input{}, err
	}
	class, err := c.class(ctx, volume.Spec.StorageClassName)
	if err != nil {
		return deletion.Input{}, err
	}
	shown, err := c.deps.InTree.AsCSI(ctx, volume)
	if err != nil {
		return deletion.Input{}, err
	}
	return deletion.Input{
		Volume:       shown,
		Plugin:       c.deps.InTree.PluginOf(volume),
		Class:        class,
		AttachedTo:   nodes,
		Driver:       c.config.Driver,
		Capabilities: c.config.Capabilities,
		Home:         c.config.Home,
	}, nil
}

// class returns the class of that name; nil when there is none.
func (c *Controller) class(ctx context.Context, name string) (*storagev1.StorageClass, error) {
	class, err := c.deps.Classes.Get(name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading StorageClass %q: %w", name, err)
	}
	return c.deps.InTree.Class(ctx, class)
}

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
		return controller.Result{}, c.deps.Store.RemoveFinalizer(ctx, volume)
	case deletion.Wait:
		c.report(volume, d.Err)
		return controller.Result{
			RequeueAfter: c.config.AttachedRetry,
			WaitFor:      []controller.Dependency{Detached(volume.Name)},
		}, controller.Terminal(d.Err)
	case deletion.Reject:
		return c.failed(volume, d.Err, ClassChanged(volume.Spec.StorageClassName))
	case deletion.Act:
		if err := c.settle(ctx, volume); err != nil {
			return c.whenSettled(volume, err)
		}
		started := c.deps.Clock.Now()
		if err := c.delete(ctx, volume, d); err != nil {
			return c.failed(volume, err)
		}
		c.deps.Metrics.Deleted(volume.Spec.StorageClassName, c.deps.Clock.Since(started))
	}
	return controller.Result{}, nil
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
	err := c.deps.Driver.DeleteVolume(csi.ForMigrated(ctx, migrated), &csipb.DeleteVolumeRequest{VolumeId: d.Handle, Secrets: credentials.Reveal()})
	if err != nil && !csi.NotFound(err) {
		if d.Secret != nil {
			c.deps.Secrets.Forget(*d.Secret)
		}
		return fmt.Errorf("deleting volume %q at CSI driver %q: %w", d.Handle, c.config.Driver, csi.Plain(err))
	}
	// The informer may show that it is gone before the calls return.
	c.deleted.Expect(string(volume.UID))
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
	if ref == nil {
		return secrets.Credentials{}
	}
	credentials, err := c.deps.Secrets.Get(ctx, *ref)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Deleting the volume without its secret")
		return secrets.Credentials{}
	}
	return credentials
}
