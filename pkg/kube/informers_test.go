package kube

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/topology"
)

// cluster is an API server and the informers that watch it.
type cluster struct {
	*Informers
	core     *fake.Clientset
	metadata *metadatafake.FakeMetadataClient
}

func everything() Driver {
	return Driver{
		Name:         driverName,
		Capabilities: capability.Set{PublishUnpublish: true, Topology: true, Modify: true},
		Topology:     true, Classes: true, AttributesClasses: true,
	}
}

func newCluster(t *testing.T, driver Driver, objects ...runtime.Object) *cluster {
	t.Helper()
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var nodes, others []runtime.Object
	for _, object := range objects {
		if _, ok := object.(*metav1.PartialObjectMetadata); ok {
			nodes = append(nodes, object)
		} else {
			others = append(others, object)
		}
	}
	c := &cluster{core: fake.NewClientset(others...), metadata: metadatafake.NewSimpleMetadataClient(scheme, nodes...)}
	var err error
	if c.Informers, err = NewInformers(&Clients{Core: c.core, Metadata: c.metadata}, driver); err != nil {
		t.Fatalf("NewInformers: %v", err)
	}
	return c
}

// run starts the informers in a bubble of synctest, and stops them with the test.
func (c *cluster) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		cancel()
		c.Shutdown()
	})
	c.Start(ctx)
	if err := c.WaitForSync(ctx); err != nil {
		t.Fatalf("WaitForSync: %v", err)
	}
}

func node(name, zone string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"zone": zone}, Annotations: map[string]string{"large": "x"}},
	}
}

func registration(name string, keys ...string) *storagev1.CSINode {
	return &storagev1.CSINode{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: driverName, NodeID: name, TopologyKeys: keys}}},
	}
}

func attachment(name, volume, node string) *storagev1.VolumeAttachment {
	a := &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: storagev1.VolumeAttachmentSpec{NodeName: node}}
	if volume != "" {
		a.Spec.Source.PersistentVolumeName = &volume
	}
	return a
}

func TestInformersAreThoseThatAreNeeded(t *testing.T) {
	without := func(change func(*Driver)) Driver {
		d := everything()
		change(&d)
		return d
	}
	always := []string{"Claims", "Volumes"}
	cases := map[string]struct {
		driver Driver
		want   []string
	}{
		"everything":              {everything(), []string{"Attachments", "Classes", "AttributesClasses", "Nodes", "CSINodes"}},
		"a driver that can't":     {without(func(d *Driver) { d.Capabilities = capability.Set{} }), []string{"Classes"}},
		"topology not to use":     {without(func(d *Driver) { d.Topology = false }), []string{"Attachments", "Classes", "AttributesClasses"}},
		"classes not needed":      {without(func(d *Driver) { d.Classes = false }), []string{"Attachments", "AttributesClasses", "Nodes", "CSINodes"}},
		"modification not to use": {without(func(d *Driver) { d.AttributesClasses = false }), []string{"Attachments", "Classes", "Nodes", "CSINodes"}},
		"node deployment":         {without(func(d *Driver) { d.Home, d.Capacity = homeNode(), withCapacity().Capacity }), []string{"Attachments", "Capacities", "Classes", "AttributesClasses"}},
		"nothing":                 {Driver{Name: driverName}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			i := newCluster(t, c.driver)
			var got []string
			for kind, informer := range map[string]cache.SharedIndexInformer{
				"Claims": i.Claims, "Volumes": i.Volumes, "Classes": i.Classes, "Attachments": i.Attachments,
				"AttributesClasses": i.AttributesClasses, "Nodes": i.Nodes, "CSINodes": i.CSINodes,
				"Capacities": i.Capacities,
			} {
				if informer != nil {
					got = append(got, kind)
				}
			}
			slices.Sort(got)
			want := append(slices.Clone(always), c.want...)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("informers (-want +got):\n%s", diff)
			}
			if (i.ClassLister() != nil) != (i.Classes != nil) || (i.AttributesClassLister() != nil) != (i.AttributesClasses != nil) {
				t.Errorf("there are listers of classes: %t, of VolumeAttributesClasses: %t", i.ClassLister() != nil, i.AttributesClassLister() != nil)
			}
		})
	}
}

// There is no right to list what is not needed, so it must not be asked for.
func TestInformersAskForNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, Driver{Name: driverName})
		c.run(t)
		var lists []string
		for _, action := range append(c.core.Actions(), c.metadata.Actions()...) {
			if action.GetVerb() == "list" {
				lists = append(lists, action.GetResource().Resource)
			}
		}
		slices.Sort(lists)
		if diff := cmp.Diff([]string{"persistentvolumeclaims", "persistentvolumes"}, slices.Compact(lists)); diff != "" {
			t.Errorf("lists (-want +got):\n%s", diff)
		}
	})
}

func TestInformersStoreWhatIsTrimmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours := claim(described(map[string]string{names.StorageProvisioner: driverName}))
		foreign := claim(described(map[string]string{names.StorageProvisioner: "other.example"}))
		foreign.Name = "foreign"
		foreignVolume := volume(metav1.ObjectMeta{Name: "foreign"}, "other.example")
		class := &storagev1.StorageClass{ObjectMeta: described(nil), Provisioner: driverName}
		class.Namespace = ""
		long := attachment("a1", "pv", "n1")
		long.Spec.Attacher = "attacher.example"
		c := newCluster(t, everything(), ours, foreign, volume(metav1.ObjectMeta{Name: "ours"}, driverName), foreignVolume,
			class, long, registration("n1", "zone"), node("n1", "a"))
		c.run(t)
		if kept, err := c.ClaimLister().PersistentVolumeClaims("ns").Get("name"); err != nil || kept.Spec.AccessModes == nil || kept.ManagedFields != nil {
			t.Errorf("our claim is stored as %+v, %v", kept, err)
		}
		if trimmed, err := c.ClaimLister().PersistentVolumeClaims("ns").Get("foreign"); err != nil || trimmed.Spec.AccessModes != nil {
			t.Errorf("another's claim is stored as %+v, %v", trimmed, err)
		}
		if kept, err := c.VolumeLister().Get("ours"); err != nil || kept.Spec.CSI == nil {
			t.Errorf("our volume is stored as %+v, %v", kept, err)
		}
		if trimmed, err := c.VolumeLister().Get("foreign"); err != nil || trimmed.Spec.CSI != nil {
			t.Errorf("another's volume is stored as %+v, %v", trimmed, err)
		}
		if trimmed, err := c.ClassLister().Get("name"); err != nil || trimmed.ManagedFields != nil || trimmed.Provisioner != driverName {
			t.Errorf("the class is stored as %+v, %v", trimmed, err)
		}
		if stored := c.Attachments.GetStore().List()[0].(*storagev1.VolumeAttachment); stored.Spec.Attacher != "" {
			t.Errorf("the attachment is stored as %+v", stored)
		}
		if stored := c.CSINodes.GetStore().List()[0].(*storagev1.CSINode); stored.Spec.Drivers[0].NodeID != "" {
			t.Errorf("the CSINode is stored as %+v", stored)
		}
		if stored := c.Nodes.GetStore().List()[0].(*metav1.PartialObjectMetadata); stored.Annotations != nil || stored.Labels["zone"] != "a" {
			t.Errorf("the node is stored as %+v", stored)
		}
	})
}

func TestSyncedNamesWhatItWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, everything())
		ctx, cancel := context.WithCancel(t.Context())
		defer func() {
			cancel()
			c.Shutdown()
		}()
		// All but the nodes, which come from another client.
		c.Informers.core.Start(ctx.Done())
		var log strings.Builder
		logger := funcr.New(func(_, line string) { log.WriteString(line) }, funcr.Options{})
		short, done := context.WithTimeout(klog.NewContext(ctx, logger), time.Minute)
		defer done()
		if err := c.WaitForSync(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("WaitForSync: error %v, want the end of the context", err)
		}
		if err := c.Synced(); err == nil || !strings.HasSuffix(err.Error(), "waiting for Nodes") {
			t.Errorf("Synced: %v", err)
		}
		if progress := strings.Count(log.String(), "waiting for Nodes"); progress < 5 {
			t.Errorf("in a minute, %d lines tell what is waited for", progress)
		}
		c.Start(ctx)
		if err := c.WaitForSync(ctx); err != nil {
			t.Errorf("WaitForSync: %v", err)
		}
	})
}

func TestSyncedWaitsForHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, Driver{Name: driverName}, claim(described(map[string]string{names.StorageProvisioner: driverName})))
		c.run(t)
		proceed := make(chan struct{})
		handled := atomic.Bool{}
		if err := c.Handle(c.Claims, "claims", onEach(func(*corev1.PersistentVolumeClaim) {
			<-proceed
			handled.Store(true)
		}, func(*corev1.PersistentVolumeClaim) {})); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := c.Synced(); err == nil || !strings.Contains(err.Error(), "waiting for handler of claims") {
			t.Errorf("Synced before the handler has seen the claim: %v", err)
		}
		close(proceed)
		if err := c.WaitForSync(t.Context()); err != nil || !handled.Load() {
			t.Errorf("WaitForSync: error %v, the handler has seen the claim: %t", err, handled.Load())
		}
	})
}

// Probes ask for the state of the caches while handlers are added.
func TestSyncedIsSafe(t *testing.T) {
	c := newCluster(t, Driver{Name: driverName})
	var running sync.WaitGroup
	running.Go(func() {
		for range 1000 {
			_ = c.Synced()
		}
	})
	for range 100 {
		if err := c.Handle(c.Claims, "claims", cache.ResourceEventHandlerFuncs{}); err != nil {
			t.Fatal(err)
		}
	}
	running.Wait()
}

func TestHandleFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, Driver{Name: driverName})
		ctx, cancel := context.WithCancel(t.Context())
		c.Start(ctx)
		cancel()
		c.Shutdown()
		if err := c.Handle(c.Claims, "claims", cache.ResourceEventHandlerFuncs{}); err == nil || !strings.Contains(err.Error(), "adding the handler of claims") {
			t.Errorf("Handle after the end: %v", err)
		}
	})
}

func TestAttachedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Whether one is there counts, not how far it is.
		attached, going := attachment("a5", "attached", "n5"), attachment("a6", "going", "n6")
		attached.Status.Attached = true
		going.DeletionTimestamp, going.Finalizers = &metav1.Time{Time: time.Now()}, []string{"external-attacher/driver"}
		c := newCluster(t, everything(), attachment("a1", "pv", "n1"), attachment("a2", "pv", "n2"),
			attachment("a3", "other", "n3"), attachment("a4", "", "n4"), attached, going)
		c.run(t)
		for volume, want := range map[string][]string{
			"pv": {"n1", "n2"}, "other": {"n3"}, "attached": {"n5"}, "going": {"n6"}, "none": nil, "": nil,
		} {
			nodes, err := c.AttachedTo(volume)
			slices.Sort(nodes)
			if err != nil || !slices.Equal(nodes, want) {
				t.Errorf("AttachedTo(%q) = %q, %v, want %q", volume, nodes, err, want)
			}
		}
	})
	if nodes, err := newCluster(t, Driver{Name: driverName}).AttachedTo("pv"); nodes != nil || err != nil {
		t.Errorf("AttachedTo without attachments = %q, %v", nodes, err)
	}
}

func TestFeedTopology(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, everything(), node("n1", "a"), registration("n1", "zone"))
		index := topology.NewIndex()
		changes := atomic.Int32{}
		changed := func(node string, what topology.Change) {
			if node != "n1" && node != "n2" || what == (topology.Change{}) {
				t.Errorf("told of %+v of node %q", what, node)
			}
			changes.Add(1)
		}
		if err := c.FeedTopology(index, driverName, changed); err != nil {
			t.Fatal(err)
		}
		c.run(t)
		expect := func(when string, change bool, places ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			if set := index.Facts("").Cluster; set != nil {
				for _, term := range set.Terms() {
					got = append(got, term.String())
				}
			}
			if !slices.Equal(got, places) {
				t.Errorf("%s: the places are %q, want %q", when, got, places)
			}
			if changed := changes.Swap(0) > 0; changed != change {
				t.Errorf("%s: changed is called: %t, want %t", when, changed, change)
			}
		}
		nodes := c.metadata.Resource(corev1.SchemeGroupVersion.WithResource("nodes")).(metadatafake.MetadataClient)
		registrations := c.core.StorageV1().CSINodes()
		expect("at first", true, "zone=a")

		must(t)(nodes.CreateFake(node("n2", "b"), metav1.CreateOptions{}))
		must(t)(registrations.Create(t.Context(), registration("n2", "zone"), metav1.CreateOptions{}))
		expect("a new node", true, "zone=a", "zone=b")

		alive := node("n2", "b")
		alive.Annotations["seen"] = "now"
		must(t)(nodes.UpdateFake(alive, metav1.UpdateOptions{}))
		expect("a sign of life", false, "zone=a", "zone=b")

		other := registration("n2", "zone")
		other.Spec.Drivers = append(other.Spec.Drivers, storagev1.CSINodeDriver{Name: "other.example", NodeID: "x", TopologyKeys: []string{"rack"}})
		must(t)(registrations.Update(t.Context(), other, metav1.UpdateOptions{}))
		expect("another driver", false, "zone=a", "zone=b")

		must(t)(nodes.UpdateFake(node("n2", "c"), metav1.UpdateOptions{}))
		expect("a new label", true, "zone=a", "zone=c")

		if err := nodes.Delete(t.Context(), "n2", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		expect("a node that goes", true, "zone=a")
		if err := registrations.Delete(t.Context(), "n1", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := registrations.Delete(t.Context(), "n2", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		expect("registrations that go", true)
	})
}

// must fails the test for an error.
func must(t *testing.T) func(any, error) {
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestFeedTopologyWithoutTopology(t *testing.T) {
	if err := newCluster(t, Driver{Name: driverName}).FeedTopology(topology.NewIndex(), driverName, nil); err != nil {
		t.Errorf("FeedTopology: %v", err)
	}
}

// TestFeedTopologyOnlyReads: what is fed belongs to the cache, and others read it at
// the same time.
func TestFeedTopologyOnlyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unsorted := []string{"zone", "rack", "host"}
		c := newCluster(t, everything(), node("n1", "a"), registration("n1", slices.Clone(unsorted)...))
		index := topology.NewIndex()
		if err := c.FeedTopology(index, driverName, func(string, topology.Change) {}); err != nil {
			t.Fatal(err)
		}
		c.run(t)
		synctest.Wait()
		if keys := index.Facts("n1").Keys; len(keys) != len(unsorted) {
			t.Fatalf("the index knows the keys %q", keys)
		}
		object, exists, err := c.CSINodes.GetStore().GetByKey("n1")
		if err != nil || !exists {
			t.Fatalf("the cache has no CSINode: %v", err)
		}
		if got := object.(*storagev1.CSINode).Spec.Drivers[0].TopologyKeys; !slices.Equal(got, unsorted) {
			t.Errorf("the keys in the cache are %q, want %q", got, unsorted)
		}
	})
}

// TestNothingIsLookedAtAgainByTime: informers do not repeat what has not changed, so
// that work does not grow with the number of objects.
func TestNothingIsLookedAtAgainByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, everything(), &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "claim"}},
			&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "volume"}}, &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "class"}},
			attachment("a1", "volume", "n1"), node("n1", "a"), registration("n1", "zone"))
		told := atomic.Int32{}
		informers := []cache.SharedIndexInformer{c.Claims, c.Volumes, c.Classes, c.Attachments, c.Nodes, c.CSINodes}
		for _, informer := range informers {
			if err := c.Handle(informer, "all", cache.ResourceEventHandlerFuncs{
				AddFunc:    func(any) { told.Add(1) },
				UpdateFunc: func(any, any) { told.Add(1) },
			}); err != nil {
				t.Fatal(err)
			}
		}
		c.run(t)
		time.Sleep(24 * time.Hour)
		if got := int(told.Load()); got != len(informers) {
			t.Errorf("in a day handlers were told %d times of %d objects", got, len(informers))
		}
	})
}
