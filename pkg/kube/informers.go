package kube

import (
	"context"
	"fmt"
	"sync"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// Informers hold what this program watches. Those that the driver has no use
// for are nil, and need no right to list and watch.
type Informers struct {
	Claims  cache.SharedIndexInformer
	Volumes cache.SharedIndexInformer
	Classes cache.SharedIndexInformer
	// Attachments is nil for a driver without PUBLISH_UNPUBLISH_VOLUME.
	Attachments cache.SharedIndexInformer
	// AttributesClasses are VolumeAttributesClasses; nil for a driver without
	// MODIFY_VOLUME, and where the API server does not have them.
	AttributesClasses cache.SharedIndexInformer
	// Nodes (metadata only) and CSINodes are nil for a driver
	// without topology whose capacity is not published, and in node deployment.
	Nodes    cache.SharedIndexInformer
	CSINodes cache.SharedIndexInformer
	// Capacities are CSIStorageCapacity objects; nil where they are not published.
	Capacities cache.SharedIndexInformer
	// Snapshots hold *source.Snapshot, Grants *source.Grant; nil where they are not
	// watched.
	Snapshots cache.SharedIndexInformer
	Grants    cache.SharedIndexInformer

	core     informers.SharedInformerFactory
	metadata metadatainformer.SharedInformerFactory
	// dynamic is nil where it has nothing to watch.
	dynamic dynamicinformer.DynamicSharedInformerFactory
	// settled are the informers, and the handlers that must have seen their
	// first objects, by the name of what they wait for. Handlers are added while
	// probes ask.
	mu      sync.Mutex
	settled map[string]cache.InformerSynced
}

// Driver says what the informers depend on.
type Driver struct {
	Name         string
	Capabilities capability.Set
	// InTree knows the volumes of the plugin whose place the driver has taken.
	InTree *InTree
	// Topology is false where the driver's topology is not to be used.
	Topology bool
	// Classes is false where classes are not needed.
	Classes bool
	// AttributesClasses is false where VolumeAttributesClasses are not needed.
	AttributesClasses bool
	// Capacity says which CSIStorageCapacity objects are needed, and asks for nodes
	// and registrations, too; nil for none.
	Capacity *CapacityScope
	// Sources says which data sources are needed.
	Sources SourceScope
	// Home is the own node in node deployment, where nodes and registrations are not
	// needed; nil outside of it.
	Home *topology.Home
}

// places tells whether nodes and registrations are needed.
func (d Driver) places() bool {
	return d.Home == nil && (d.Topology && d.Capabilities.Topology || d.Capacity != nil)
}

// noResync: the handlers see each change once. What must be looked at again
// without a change is queued with a delay.
const noResync = time.Duration(0)

const byVolume = "volume"

// NewInformers returns informers that are not started.
func NewInformers(clients *Clients, driver Driver) (*Informers, error) {
	core := informers.NewSharedInformerFactory(clients.Core, noResync)
	meta := metadatainformer.NewSharedInformerFactory(clients.Metadata, noResync)
	i := &Informers{
		Claims:   core.Core().V1().PersistentVolumeClaims().Informer(),
		Volumes:  core.Core().V1().PersistentVolumes().Informer(),
		core:     core,
		metadata: meta,
		settled:  map[string]cache.InformerSynced{},
	}
	transforms := map[cache.SharedIndexInformer]cache.TransformFunc{
		i.Claims:  trimClaim(driver.Name),
		i.Volumes: trimVolume(driver.Name, driver.InTree),
	}
	if driver.Home != nil {
		transforms[i.Claims] = both(transforms[i.Claims], trimClaimsOf(driver.Home))
		transforms[i.Volumes] = both(transforms[i.Volumes], trimVolumesOf(driver.Home))
	}
	for _, informer := range []cache.SharedIndexInformer{i.Claims, i.Volumes} {
		transforms[informer] = newSharing().after(transforms[informer])
	}
	if driver.Classes {
		i.Classes = core.Storage().V1().StorageClasses().Informer()
		transforms[i.Classes] = trimClass
	}
	if driver.AttributesClasses && driver.Capabilities.Modify {
		i.AttributesClasses = core.Storage().V1().VolumeAttributesClasses().Informer()
		transforms[i.AttributesClasses] = trimModification
	}
	if driver.Capabilities.PublishUnpublish {
		i.Attachments = core.Storage().V1().VolumeAttachments().Informer()
		transforms[i.Attachments] = trimAttachment
		if err := i.Attachments.AddIndexers(cache.Indexers{byVolume: attachedVolume}); err != nil {
			return nil, fmt.Errorf("indexing VolumeAttachments: %w", err)
		}
	}
	if driver.Capacity != nil {
		i.Capacities = driver.Capacity.capacities(core)
		transforms[i.Capacities] = trimCapacity
	}
	if driver.places() {
		i.Nodes = meta.ForResource(schema.GroupVersionResource{Version: "v1", Resource: "nodes"}).Informer()
		i.CSINodes = core.Storage().V1().CSINodes().Informer()
		transforms[i.Nodes] = trimNode
		transforms[i.CSINodes] = trimRegistration(driver.Name)
	}
	for informer, transform := range transforms {
		if err := informer.SetTransform(transform); err != nil {
			return nil, fmt.Errorf("setting up informers: %w", err)
		}
	}
	if err := i.Volumes.AddIndexers(cache.Indexers{byHandle: handleIndex(driver.Name, driver.InTree)}); err != nil {
		return nil, fmt.Errorf("indexing PersistentVolumes: %w", err)
	}
	if err := i.addSources(clients, driver); err != nil {
		return nil, err
	}
	i.expectAll()
	return i, nil
}

func (i *Informers) expectAll() {
	for name, informer := range map[string]cache.SharedIndexInformer{
		"PersistentVolumeClaims": i.Claims, "PersistentVolumes": i.Volumes, "StorageClasses": i.Classes,
		"VolumeAttributesClasses": i.AttributesClasses, "VolumeAttachments": i.Attachments, "Nodes": i.Nodes, "CSINodes": i.CSINodes,
		"CSIStorageCapacities": i.Capacities, "VolumeSnapshots": i.Snapshots, "ReferenceGrants": i.Grants,
	} {
		if informer != nil {
			i.settled[name] = informer.HasSynced
		}
	}
}

// Handle adds a handler to one of the informers; [Informers.Synced] waits for
// it, too. The name says whose it is.
func (i *Informers) Handle(informer cache.SharedIndexInformer, name string, handler cache.ResourceEventHandlerFuncs) error {
	registration, err := informer.AddEventHandler(handler)
	if err != nil {
		return fmt.Errorf("adding the handler of %s: %w", name, err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.settled["handler of "+name] = registration.HasSynced
	return nil
}

// HandleDetached has detached called with the name of the PersistentVolume of each
// VolumeAttachment that goes. There are none where volumes are not attached.
func (i *Informers) HandleDetached(name string, detached func(volume string)) error {
	if i.Attachments == nil {
		return nil
	}
	return i.Handle(i.Attachments, name, OnChange(func(_, _ *storagev1.VolumeAttachment) {}, func(attachment *storagev1.VolumeAttachment) {
		if volume := attachment.Spec.Source.PersistentVolumeName; volume != nil {
			detached(*volume)
		}
	}))
}

// ClaimLister lists claims.
func (i *Informers) ClaimLister() corelisters.PersistentVolumeClaimLister {
	return corelisters.NewPersistentVolumeClaimLister(i.Claims.GetIndexer())
}

// VolumeLister lists volumes.
func (i *Informers) VolumeLister() corelisters.PersistentVolumeLister {
	return corelisters.NewPersistentVolumeLister(i.Volumes.GetIndexer())
}

// ClassLister lists classes; it is nil where they are not watched.
func (i *Informers) ClassLister() storagelisters.StorageClassLister {
	if i.Classes == nil {
		return nil
	}
	return storagelisters.NewStorageClassLister(i.Classes.GetIndexer())
}

// AttributesClassLister lists VolumeAttributesClasses; it is nil where they are not
// watched.
func (i *Informers) AttributesClassLister() storagelisters.VolumeAttributesClassLister {
	if i.AttributesClasses == nil {
		return nil
	}
	return storagelisters.NewVolumeAttributesClassLister(i.AttributesClasses.GetIndexer())
}

// Start starts all informers; they stop with the context.
func (i *Informers) Start(ctx context.Context) {
	i.core.Start(ctx.Done())
	i.metadata.Start(ctx.Done())
	if i.dynamic != nil {
		i.dynamic.Start(ctx.Done())
	}
}

// Shutdown waits until all informers have stopped.
func (i *Informers) Shutdown() {
	i.core.Shutdown()
	i.metadata.Shutdown()
	if i.dynamic != nil {
		i.dynamic.Shutdown()
	}
}

// Synced returns nil when all informers and handlers have seen what there was
// when they started, and else the name of one that has not.
func (i *Informers) Synced() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for name, synced := range i.settled {
		if !synced() {
			return fmt.Errorf("the cache is not filled yet: waiting for %s", name)
		}
	}
	return nil
}

const (
	syncPoll = 10 * time.Millisecond
	// syncProgress is the number of polls between two log entries.
	syncProgress = 1000
)

// WaitForSync waits until [Informers.Synced], and logs what it waits for.
func (i *Informers) WaitForSync(ctx context.Context) error {
	ticker := time.NewTicker(syncPoll)
	defer ticker.Stop()
	for polls := 1; ; polls++ {
		err := i.Synced()
		if err == nil {
			return nil
		}
		if polls%syncProgress == 0 {
			klog.FromContext(ctx).Info("Waiting for the caches: is the right to list and watch missing?", "state", err.Error())
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("filling the caches: %w", ctx.Err())
		}
	}
}

func attachedVolume(object any) ([]string, error) {
	attachment, ok := object.(*storagev1.VolumeAttachment)
	if !ok || attachment.Spec.Source.PersistentVolumeName == nil {
		return nil, nil
	}
	return []string{*attachment.Spec.Source.PersistentVolumeName}, nil
}

// AttachedTo returns the nodes that a volume is attached to, or is being
// attached to or detached from.
func (i *Informers) AttachedTo(volume string) ([]string, error) {
	if i.Attachments == nil {
		return nil, nil
	}
	objects, err := i.Attachments.GetIndexer().ByIndex(byVolume, volume)
	if err != nil {
		return nil, fmt.Errorf("looking for VolumeAttachments of PersistentVolume %q: %w", volume, err)
	}
	var nodes []string
	for _, object := range objects {
		if attachment, ok := object.(*storagev1.VolumeAttachment); ok {
			nodes = append(nodes, attachment.Spec.NodeName)
		}
	}
	return nodes, nil
}

// FeedTopology keeps the index up to date, and calls changed after each event of a
// node that has changed what it answers.
func (i *Informers) FeedTopology(index *topology.Index, driver string, changed func(node string, what topology.Change)) error {
	if i.Nodes == nil {
		return nil
	}
	tell := func(node string, what topology.Change) {
		if what != (topology.Change{}) {
			changed(node, what)
		}
	}
	err := i.Handle(i.Nodes, "node labels", onEach(func(node *metav1.PartialObjectMetadata) {
		tell(node.Name, index.SetNode(node.Name, node.Labels))
	}, func(node *metav1.PartialObjectMetadata) {
		tell(node.Name, index.DeleteNode(node.Name))
	}))
	if err != nil {
		return err
	}
	return i.Handle(i.CSINodes, "topology keys", onEach(func(node *storagev1.CSINode) {
		keys, _ := registrationOf(node, driver)
		tell(node.Name, index.SetRegistration(node.Name, keys))
	}, func(node *storagev1.CSINode) {
		tell(node.Name, index.DeleteRegistration(node.Name))
	}))
}
