package provision

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/attempt"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// Key names one claim.
type Key = kube.ClaimKey

// KeyOf returns the key of a claim.
func KeyOf(claim *corev1.PersistentVolumeClaim) Key { return kube.KeyOf(claim) }

// Deps are what the controller works with; all are needed.
type Deps struct {
	Claims  corelisters.PersistentVolumeClaimLister
	Volumes corelisters.PersistentVolumeLister
	Classes storagelisters.StorageClassLister
	InTree  InTree
	// Attributes lists VolumeAttributesClasses; nil where they are not watched.
	Attributes storagelisters.VolumeAttributesClassLister
	Places     Places

	Driver csi.Volumes
	// Capacity is needed in node deployment only.
	Capacity csi.Capacity
	Secrets  kube.SecretReader
	Store    VolumeStore
	Handles  Handles
	// ClaimStore reads and changes claims at the API server.
	ClaimStore ClaimStore
	Journal    Journal
	Events     kube.EventSender

	Sources Sources
	// SourceLocks are taken to begin, and to end, the protection of a source.
	SourceLocks *controller.VolumeLocks
	// Released is told of each source that a volume no longer is made from.
	Released func(source.Key)

	Metrics *metrics.Volumes
	Locks   *controller.VolumeLocks
	Clock   clock.PassiveClock
}

// InTree shows classes of the in-tree plugin whose place the driver has taken as
// its own; see [kube.InTree].
type InTree interface {
	Class(ctx context.Context, class *storagev1.StorageClass) (*storagev1.StorageClass, error)
}

// Places tells what is known of the cluster's topology.
type Places interface {
	Facts(selectedNode string) topology.Facts
}

// VolumeStore reads and stores PersistentVolumes; see [kube.Volumes].
type VolumeStore interface {
	Get(ctx context.Context, name string) (*corev1.PersistentVolume, error)
	Store(ctx context.Context, volume *corev1.PersistentVolume) error
}

// Handles tells which PersistentVolume, other than the excepted one, carries a volume; see
// [kube.Handles]. Holder asks the cache, HolderNow makes sure.
type Handles interface {
	Holder(handle, except string) (string, error)
	HolderNow(ctx context.Context, handle, except string) (string, error)
}

// ClaimStore reads claims, and gives them a selected node or takes it from them; see
// [kube.Claims].
type ClaimStore interface {
	Select(ctx context.Context, claim *corev1.PersistentVolumeClaim, node string) error
	Get(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error)
	Reschedule(ctx context.Context, claim *corev1.PersistentVolumeClaim) error
}

// Journal keeps durable what is begun; see [journal.Journal].
type Journal interface {
	Begin(ctx context.Context, intent *journal.Intent) error
	Undoing(uid types.UID)
	End(uid types.UID)
	Settle(ctx context.Context, uid types.UID) error
}

// Config is what the controller is set to.
type Config struct {
	Driver  provision.Driver
	Options provision.Options
	// InfeasibleRetry is the time until a request that the driver calls invalid
	// is tried again.
	InfeasibleRetry time.Duration
	// Node is the own one in node deployment, and Contest how claims are competed
	// for; nil outside of it.
	Node    *provision.Node
	Contest Contest
}

// Controller makes volumes. It implements controller.Reconciler[Key].
type Controller struct {
	deps   Deps
	config Config
	claims *claims
	uses   *uses
}

// New returns a controller; it starts nothing.
func New(deps Deps, config Config) *Controller {
	return &Controller{deps: deps, config: config, claims: newClaims(), uses: newUses()}
}

// Reconcile brings the claim one step nearer to its volume, or undoes what was
// begun for a claim that has gone.
func (c *Controller) Reconcile(ctx context.Context, key Key) (controller.Result, error) {
	unlock, err := c.deps.Locks.Lock(ctx, string(key.UID))
	if err != nil {
		return controller.Result{}, err
	}
	defer unlock()

	w := &walk{Controller: c, record: c.claims.enter(key), key: key}
	// What was not told is out of date.
	w.observe(attempt.Event{What: attempt.Reported})
	result, err := w.run(ctx)
	w.leave()
	return result, err
}

// leave keeps no more of the claim than is needed.
func (w *walk) leave() {
	over := w.now == nil || w.now.Spec.VolumeName != ""
	if over || w.config.Node.OtherNode(w.now) {
		w.turn = nil
	}
	if !w.state.Phase.Open() && (over || w.isBlank()) {
		w.claims.leave(w.key.UID, over)
		w.release(w.key.UID)
	}
}

// TakeOver notes what the caches show when this process begins to work. It is called once,
// when they are past the barrier.
func (c *Controller) TakeOver() error {
	volumes, err := c.deps.Volumes.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("looking at the PersistentVolumes that are there: %w", err)
	}
	for _, volume := range volumes {
		c.Shown(volume)
	}
	return nil
}

// Shown notes that the cache shows a claim's PersistentVolume. Who has stored it need not
// be this process: the one before may have sent it in its last moment. It may go again
// before the claim is looked at.
func (c *Controller) Shown(volume *corev1.PersistentVolume) {
	ref := volume.Spec.ClaimRef
	if ref == nil || ref.UID == "" {
		return
	}
	key := Key{Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID}
	if claim, err := key.Find(c.deps.Claims); err == nil && claim != nil && claim.Spec.VolumeName == "" {
		c.claims.noteShown(key.UID)
	}
}

// Resume takes over what another process has begun; the claims of the intents are to be
// looked at then, whether they exist or not. A claim may have an attempt of this process:
// then the requests of the intent may have made the volume, too.
func (c *Controller) Resume(intents []*journal.Intent) {
	for _, intent := range intents {
		c.claims.find(intent)
		c.inUse(intent.Claim.UID, intent.Plans)
	}
}
