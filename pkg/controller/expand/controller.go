package expand

import (
	"context"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/expand"
)

// Key names one claim.
type Key = kube.ClaimKey

// KeyOf returns the key of a claim.
func KeyOf(claim *corev1.PersistentVolumeClaim) Key { return kube.KeyOf(claim) }

// Deps are what the controller works with; all but Classes are needed.
type Deps struct {
	Claims  corelisters.PersistentVolumeClaimLister
	Volumes corelisters.PersistentVolumeLister
	// Classes is nil where classes are not watched.
	Classes storagelisters.StorageClassLister

	Driver  Expander
	Secrets kube.SecretReader
	Status  ClaimStatus
	Store   VolumeStore
	InTree  InTree
	Pods    Pods
	Events  kube.EventSender

	Locks *controller.VolumeLocks
	Clock clock.PassiveClock
}

// Expander expands volumes at the driver; see [csi.Resizer].
type Expander interface {
	ControllerExpandVolume(ctx context.Context, request *csipb.ControllerExpandVolumeRequest, options ...csi.Option) (*csipb.ControllerExpandVolumeResponse, error)
}

// ClaimStatus writes the status of claims; see [kube.Claims].
type ClaimStatus interface {
	Get(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error)
	Patch(ctx context.Context, from, to *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, error)
}

// VolumeStore writes PersistentVolumes; see [kube.Volumes].
type VolumeStore interface {
	Get(ctx context.Context, name string) (*corev1.PersistentVolume, error)
	Patch(ctx context.Context, from, to *corev1.PersistentVolume) (*corev1.PersistentVolume, error)
}

// InTree shows in-tree volumes that are migrated to the driver as its own; see
// [kube.InTree].
type InTree interface {
	PluginOf(volume *corev1.PersistentVolume) string
	AsCSI(ctx context.Context, volume *corev1.PersistentVolume) (*corev1.PersistentVolume, error)
}

// Pods tells which pods use a claim; see [kube.Pods].
type Pods interface {
	Using(ctx context.Context, claim *corev1.PersistentVolumeClaim) ([]string, error)
	Follow(ctx context.Context, namespace string)
}

// Config is what the controller is set to.
type Config struct {
	Driver       string
	Capabilities capability.Set
	Options      expand.Options
	// HandleVolumeInUseError waits for a volume's pods to end after the driver has refused
	// to expand it while it is in use.
	HandleVolumeInUseError bool
	// InfeasibleRetry is the time until a size that the driver calls infeasible
	// is tried again.
	InfeasibleRetry time.Duration
}

// Controller expands volumes. It implements controller.Reconciler[Key].
type Controller struct {
	deps   Deps
	config Config
	inUse  *inUse
	// pauses are those after infeasible answers.
	pauses *controller.Pauses
	// claims and volumes are own writes.
	claims  *kube.Latest[*corev1.PersistentVolumeClaim]
	volumes *kube.Latest[*corev1.PersistentVolume]
}

// New returns a controller; it starts nothing.
func New(deps Deps, config Config) *Controller {
	return &Controller{
		deps: deps, config: config, inUse: newInUse(), pauses: controller.NewPauses(config.InfeasibleRetry),
		claims:  kube.NewLatest(kube.ShownClaim(deps.Claims)),
		volumes: kube.NewLatest(kube.ShownVolume(deps.Volumes)),
	}
}

// Reconcile brings the claim one step nearer to the size that it asks for.
func (c *Controller) Reconcile(ctx context.Context, key Key) (controller.Result, error) {
	unlock, err := c.deps.Locks.Lock(ctx, string(key.UID))
	if err != nil {
		return controller.Result{}, err
	}
	defer unlock()

	claim, err := c.claim(key)
	if err != nil {
		return controller.Result{}, err
	}
	if claim == nil {
		c.inUse.clear(key.UID)
		c.pauses.Forget(string(key.UID))
		return controller.Result{}, nil
	}
	input, err := c.gather(ctx, claim)
	if err != nil {
		return controller.Result{}, err
	}
	return c.apply(csi.ForMigrated(ctx, c.migrated(claim)), input, expand.Decide(input))
}

// VolumeShown is to be called whenever the informer shows a PersistentVolume, or that it
// has gone; ClaimShown does the same for claims.
func (c *Controller) VolumeShown(volume *corev1.PersistentVolume) { c.volumes.Seen(volume) }

// ClaimShown notes a claim in the same way.
func (c *Controller) ClaimShown(claim *corev1.PersistentVolumeClaim) { c.claims.Seen(claim) }
