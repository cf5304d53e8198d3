package deletion

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/deletion"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// Deps are what the controller works with; all are needed.
type Deps struct {
	Volumes     corelisters.PersistentVolumeLister
	Classes     storagelisters.StorageClassLister
	Attachments Attachments
	Handles     Handles
	InTree      InTree

	Driver  csi.Volumes
	Secrets kube.SecretReader
	Store   VolumeStore
	Journal Journal
	Events  kube.EventSender

	Metrics *metrics.Volumes
	Locks   *controller.VolumeLocks
	Clock   clock.PassiveClock
}

// Attachments tells to which nodes a volume is attached.
type Attachments interface {
	AttachedTo(volume string) ([]string, error)
}

// Handles tells which PersistentVolumes have a volume, by its handle; see [kube.Handles].
type Handles interface {
	Holders(handle string) ([]*corev1.PersistentVolume, error)
}

// InTree shows what is the in-tree plugin's whose place the driver has taken as the
// driver's; see [kube.InTree].
type InTree interface {
	PluginOf(volume *corev1.PersistentVolume) string
	AsCSI(ctx context.Context, volume *corev1.PersistentVolume) (*corev1.PersistentVolume, error)
	Class(ctx context.Context, class *storagev1.StorageClass) (*storagev1.StorageClass, error)
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

// VolumeGone notes that the informer no longer shows a PersistentVolume.
func (c *Controller) VolumeGone(uid types.UID) { c.deleted.Observe(string(uid)) }

// Reconcile brings the PersistentVolume of that name one step nearer to its end,
// if it is due. The volume is read again when its lock is held: whoever has held it
// until then may have changed everything.
func (c *Controller) Reconcile(ctx context.Context, name string) (controller.Result, error) {
	volume, err := c.volume(name)
	if err != nil || volume == nil {
		return controller.Result{}, err
	}
	key := lockKey(volume)
	unlock, err := c.deps.Locks.Lock(ctx, key)
	if err != nil {
		return controller.Result{}, err
	}
	defer unlock()

	if volume, err = c.volume(name); err != nil || volume == nil {
		return controller.Result{}, err
	}
	if lockKey(volume) != key {
		// Another volume has taken its name.
		return controller.Result{Again: true}, nil
	}
	input, err := c.gather(ctx, volume)
	if err != nil && deletion.Due(volume) {
		return c.failed(volume, err)
	}
	if err != nil {
		return controller.Result{}, err
	}
	return c.apply(ctx, volume, deletion.Decide(input))
}

// volume returns the PersistentVolume of that name as the informer shows it; nil when
// it is gone, or the informer does not show yet that it is.
func (c *Controller) volume(name string) (*corev1.PersistentVolume, error) {
	volume, err := c.deps.Volumes.Get(name)
	if apierrors.IsNotFound(err) || err == nil && c.deleted.Pending(string(volume.UID)) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading PersistentVolume %q: %w", name, err)
	}
	return volume, nil
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
	sharers, err := c.sharers(volume, shown)
	if err != nil {
		return deletion.Input{}, err
	}
	return deletion.Input{
		Volume:       shown,
		SharedWith:   sharers,
		Plugin:       c.deps.InTree.PluginOf(volume),
		Class:        class,
		AttachedTo:   nodes,
		Driver:       c.config.Driver,
		Capabilities: c.config.Capabilities,
		Home:         c.config.Home,
	}, nil
}

// sharers names the other PersistentVolumes that have the same volume, which shown is as
// the driver sees it, and will not have it deleted themselves. The handles of another
// node's driver are names of other volumes.
func (c *Controller) sharers(volume, shown *corev1.PersistentVolume) ([]string, error) {
	if shown.Spec.CSI == nil {
		return nil, nil
	}
	holders, err := c.deps.Handles.Holders(shown.Spec.CSI.VolumeHandle)
	if err != nil {
		return nil, err
	}
	var sharers []string
	for _, holder := range holders {
		if holder.Name != volume.Name && !deletion.Due(holder) && c.config.Home.Reaches(holder.Spec.NodeAffinity) {
			sharers = append(sharers, holder.Name)
		}
	}
	return sharers, nil
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
