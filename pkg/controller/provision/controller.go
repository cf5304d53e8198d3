package provision

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/journal"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
	"github.com/csi-provisioner/csi-provisioner/pkg/secrets"
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
	Secrets  SecretReader
	Store    VolumeStore
	// ClaimStore reads and changes claims at the API server.
	ClaimStore ClaimStore
	Journal    Journal
	Events     EventSender

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

// SecretReader reads Secrets; see [kube.Secrets].
type SecretReader interface {
	Get(ctx context.Context, ref secrets.Ref) (secrets.Credentials, error)
	Forget(ref secrets.Ref)
}

// VolumeStore reads and stores PersistentVolumes; see [kube.Volumes].
type VolumeStore interface {
	Get(ctx context.Context, name string) (*corev1.PersistentVolume, error)
	Store(ctx context.Context, volume *corev1.PersistentVolume) error
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
}

// EventSender sends events; see [kube.Events].
type EventSender interface {
	Normal(object runtime.Object, reason, message string)
	Warning(object runtime.Object, reason, message string)
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
	deps     Deps
	config   Config
	attempts *attempts
	uses     *uses
	turns    *turns
	// started is when this process took over.
	started time.Time
}

// New returns a controller; it starts nothing.
func New(deps Deps, config Config) *Controller {
	return &Controller{deps: deps, config: config, attempts: newAttempts(), uses: newUses(), turns: newTurns(config.Contest), started: deps.Clock.Now()}
}

// Reconcile brings the claim one step nearer to its volume, or undoes what was
// begun for a claim that has gone.
func (c *Controller) Reconcile(ctx context.Context, key Key) (controller.Result, error) {
	unlock, err := c.deps.Locks.Lock(ctx, string(key.UID))
	if err != nil {
		return controller.Result{}, err
	}
	defer unlock()

	claim, err := key.Find(c.deps.Claims)
	if err != nil {
		return controller.Result{}, err
	}
	result, err := c.advance(ctx, key.UID, claim)
	if (claim == nil || claim.Spec.VolumeName != "") && c.attempts.get(key.UID) == nil {
		c.attempts.forget(key.UID)
		c.release(key.UID)
	}
	if claim == nil || claim.Spec.VolumeName != "" || c.config.Node.OtherNode(claim) {
		c.turns.forget(key.UID)
	}
	return result, err
}

// advance does so for the claim as it is in the cache; nil when it is gone.
func (c *Controller) advance(ctx context.Context, uid types.UID, claim *corev1.PersistentVolumeClaim) (controller.Result, error) {
	current := c.attempts.get(uid)
	if current != nil && current.unchecked {
		if stored, err := c.recall(ctx, current); stored || err != nil {
			return controller.Result{}, err
		}
	}
	switch {
	case current != nil && (abandoned(claim, current) || c.config.Node.OtherNode(claim)):
		return c.abandon(ctx, current)
	case claim == nil:
		return controller.Result{}, nil
	case current != nil && !current.ambiguous:
		current.claim = claim
		return c.pursue(ctx, current)
	}
	return c.decide(ctx, claim, current)
}

// abandoned tells whether the attempt's claim no longer wants its volume.
func abandoned(claim *corev1.PersistentVolumeClaim, current *attempt) bool {
	return claim == nil || claim.DeletionTimestamp != nil ||
		claim.Spec.VolumeName != "" && claim.Spec.VolumeName != current.plan.Volume.Name
}

// decide asks the planner and does what it says. An ambiguous attempt goes on,
// with the new plan if there is one.
func (c *Controller) decide(ctx context.Context, claim *corev1.PersistentVolumeClaim, current *attempt) (controller.Result, error) {
	input, err := c.gather(ctx, claim)
	if err != nil {
		return controller.Result{}, err
	}
	decision := provision.Decide(input)
	switch {
	case decision.Verdict == provision.Act && current == nil && c.doubts(claim):
		return c.makeSure(ctx, claim, decision.Plan)
	case decision.Verdict == provision.Act:
		return c.pursue(ctx, replacement(claim, decision.Plan, current))
	case current != nil:
		return c.pursue(ctx, current)
	}
	switch decision.Verdict {
	case provision.Skip, provision.Act:
	case provision.Await:
		return controller.Result{WaitFor: c.dependencies(claim)}, nil
	case provision.Compete:
		return c.compete(ctx, claim, decision.Room)
	case provision.Leave:
		c.announce(claim, decision.Message)
	case provision.Reject:
		return c.failed(claim, decision.Err)
	case provision.Reschedule:
		return c.reschedule(ctx, claim, decision.Err)
	}
	return controller.Result{}, nil
}

// replacement returns the attempt with a new plan. What it replaces, if
// anything, is remembered: if there is a volume, it may have been made by that.
func replacement(claim *corev1.PersistentVolumeClaim, plan *provision.Plan, current *attempt) *attempt {
	next := &attempt{claim: claim, plan: plan}
	if current == nil {
		return next
	}
	next.ambiguous, next.inherited, next.partial = true, current.inherited, current.partial
	for _, replaced := range append([]*provision.Plan{current.plan}, current.previous...) {
		if !csi.SameRequest(replaced.Request, plan.Request) {
			next.previous = append(next.previous, replaced)
		}
	}
	return next
}
