package kube

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	fakediscovery "k8s.io/client-go/discovery/fake"
	fakedynamic "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/source"
	"sigs.k8s.io/yaml"
)

const snapshotYAML = `
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata:
  namespace: ns
  name: daily
  uid: snap-uid
  resourceVersion: "7"
  finalizers: [other]
  labels: {app: db}
spec:
  source: {persistentVolumeClaimName: original}
  of-the-future: kept
status:
  boundVolumeSnapshotContentName: content
  readyToUse: true
  restoreSize: 5Gi
`

const contentYAML = `
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshotContent
metadata:
  name: content
  annotations: {snapshot.storage.kubernetes.io/allow-volume-mode-change: "true"}
spec:
  driver: driver.example
  deletionPolicy: Delete
  sourceVolumeMode: Block
  source: {volumeHandle: vol-1}
  volumeSnapshotRef: {kind: VolumeSnapshot, namespace: ns, name: daily, uid: snap-uid}
status:
  snapshotHandle: snap-1
  restoreSize: 5368709120
`

const grantYAML = `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {namespace: ns, name: grant}
spec:
  from: [{group: "", kind: PersistentVolumeClaim, namespace: other}]
  to: [{group: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: daily}]
`

const sourceClaimYAML = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {namespace: ns, name: original, uid: orig-uid, resourceVersion: "3"}
spec: {volumeName: pv, accessModes: [ReadWriteOnce], of-the-future: kept}
`

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

func sourceClient(t *testing.T) *fakedynamic.FakeDynamicClient {
	t.Helper()
	return fakedynamic.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		snapshots(): "VolumeSnapshotList", contents(): "VolumeSnapshotContentList", grants(): "ReferenceGrantList",
		corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims"): "PersistentVolumeClaimList",
	}, object(t, snapshotYAML), object(t, contentYAML), object(t, grantYAML), object(t, sourceClaimYAML))
}

// sourceInformers are filled ones; without a scope claims and volumes alone.
func sourceInformers(t *testing.T, client *fakedynamic.FakeDynamicClient, scope SourceScope, claims ...runtime.Object) *Informers {
	t.Helper()
	i, err := NewInformers(&Clients{Core: fake.NewClientset(claims...), Dynamic: client}, Driver{Name: driverName, Sources: scope})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		cancel()
		i.Shutdown()
	})
	i.Start(ctx)
	if err := i.WaitForSync(ctx); err != nil {
		t.Fatal(err)
	}
	return i
}

// TestSourcesAreRead: from the cache and from the API server comes the same.
func TestSourcesAreRead(t *testing.T) {
	for name, scope := range map[string]SourceScope{"cache": {Snapshots: true, Grants: true}, "API server": {}} {
		t.Run(name, func(t *testing.T) {
			client := sourceClient(t)
			s := NewSources(client, sourceInformers(t, client, scope))
			client.ClearActions()
			snapshot, err := s.Snapshot(t.Context(), "ns", "daily")
			if err != nil || snapshot.UID != "snap-uid" || *snapshot.Status.Content != "content" || !*snapshot.Status.Ready || snapshot.Status.RestoreSize.String() != "5Gi" {
				t.Errorf("the snapshot is %+v: %v", snapshot, err)
			}
			if reads := len(client.Actions()); (reads == 0) != scope.Snapshots {
				t.Errorf("%d requests were made", reads)
			}
			if missing, err := s.Snapshot(t.Context(), "ns", "weekly"); missing != nil || err != nil {
				t.Errorf("a snapshot that does not exist is %v: %v", missing, err)
			}
			content, err := s.Content(t.Context(), "content")
			if err != nil || content.Spec.Driver != "driver.example" || *content.Spec.Mode != corev1.PersistentVolumeBlock || *content.Status.Handle != "snap-1" ||
				content.Spec.Snapshot.UID != "snap-uid" || content.Annotations[names.AllowModeChange] != "true" {
				t.Errorf("the content is %+v: %v", content, err)
			}
			if missing, err := s.Content(t.Context(), "other"); missing != nil || err != nil {
				t.Errorf("a content that does not exist is %v: %v", missing, err)
			}
			found, err := s.Grants("ns")
			if !scope.Grants {
				if err == nil || !strings.Contains(err.Error(), "install them") {
					t.Errorf("the error is %v", err)
				}
				return
			}
			if err != nil || len(found) != 1 || found[0].Spec.From[0].Namespace != "other" || *found[0].Spec.To[0].Name != "daily" {
				t.Errorf("the grants are %v: %v", found, err)
			}
			if others, err := s.Grants("other"); len(others) > 0 || err != nil {
				t.Errorf("the grants of another namespace are %v: %v", others, err)
			}
		})
	}
}

// A kind that is not installed is not taken for an object that does not exist.
func TestKindOfSourceMissing(t *testing.T) {
	client := sourceClient(t)
	client.PrependReactor("get", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewGenericServerResponse(404, "get", schema.GroupResource{Resource: "volumesnapshots"}, "daily", "", 0, true)
	})
	s := NewSources(client, sourceInformers(t, client, SourceScope{}))
	if snapshot, err := s.Snapshot(t.Context(), "ns", "daily"); err == nil {
		t.Errorf("the snapshot is %v", snapshot)
	}
}

// TestProtection: the finalizer comes and goes, and all else stays.
func TestProtection(t *testing.T) {
	for _, test := range []struct {
		object    source.Object
		resource  schema.GroupVersionResource
		finalizer string
		others    []string
	}{
		{source.Object{Key: source.Key{Kind: source.KindSnapshot, Namespace: "ns", Name: "daily"}, UID: "snap-uid"}, snapshots(), names.SnapshotFinalizer, []string{"other"}},
		{source.Object{Key: source.Key{Kind: source.KindClaim, Namespace: "ns", Name: "original"}, UID: "orig-uid"},
			corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims"), names.CloneFinalizer, nil},
	} {
		t.Run(test.object.Kind, func(t *testing.T) {
			client := sourceClient(t)
			s := NewSources(client, sourceInformers(t, client, SourceScope{}))
			now := func() *unstructured.Unstructured {
				t.Helper()
				u, err := client.Resource(test.resource).Namespace("ns").Get(t.Context(), test.object.Name, metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				return u
			}
			before := now()
			for range 2 { // The second time nothing is to be done.
				if err := s.Protect(t.Context(), test.object); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(append(test.others, test.finalizer), now().GetFinalizers()); diff != "" {
				t.Errorf("finalizers (-want +got):\n%s", diff)
			}
			for range 2 {
				if err := s.Unprotect(t.Context(), test.object); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(before.Object, now().Object); diff != "" {
				t.Errorf("after all (-want +got):\n%s", diff)
			}
			updates := 0
			for _, action := range client.Actions() {
				if action.GetVerb() == "update" {
					updates++
				}
			}
			if updates != 2 {
				t.Errorf("%d updates were made", updates)
			}

			other := test.object
			other.UID = "another"
			if err := s.Protect(t.Context(), other); !errors.Is(err, ErrGone) {
				t.Errorf("protecting one that has been replaced: %v", err)
			}
			if err := s.Unprotect(t.Context(), other); err != nil {
				t.Errorf("releasing one that has been replaced: %v", err)
			}
			deleted := now()
			deleted.SetDeletionTimestamp(&metav1.Time{Time: metav1.Now().Time})
			if _, err := client.Resource(test.resource).Namespace("ns").Update(t.Context(), deleted, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := s.Protect(t.Context(), test.object); !errors.Is(err, ErrDeleting) {
				t.Errorf("protecting one that is being deleted: %v", err)
			}
		})
	}
}

// A conflict while a protection begins is no failure; while one ends it is, as
// somebody may need the source by now.
func TestProtectionConflicts(t *testing.T) {
	client := sourceClient(t)
	s := NewSources(client, sourceInformers(t, client, SourceScope{}))
	conflicts := 2
	client.PrependReactor("update", "volumesnapshots", func(clienttesting.Action) (bool, runtime.Object, error) {
		conflicts--
		return conflicts >= 0, nil, apierrors.NewConflict(snapshots().GroupResource(), "daily", errors.New("changed"))
	})
	daily := source.Object{Key: source.Key{Kind: source.KindSnapshot, Namespace: "ns", Name: "daily"}, UID: "snap-uid"}
	if err := s.Protect(t.Context(), daily); err != nil || conflicts != -1 {
		t.Errorf("%d conflicts are left: %v", conflicts, err)
	}
	conflicts = 1
	if err := s.Unprotect(t.Context(), daily); !apierrors.IsConflict(err) {
		t.Errorf("the error is %v", err)
	}
}

// TestClaimsOfSources: only claims of the driver that have no volume need a source.
func TestClaimsOfSources(t *testing.T) {
	claim := func(name string, change func(*corev1.PersistentVolumeClaim)) runtime.Object {
		group := source.SnapshotGroup
		c := &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, Annotations: map[string]string{names.StorageProvisioner: driverName}},
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				DataSource:  &corev1.TypedLocalObjectReference{APIGroup: &group, Kind: source.KindSnapshot, Name: "daily"},
			},
		}
		change(c)
		return c
	}
	elsewhere, group := "ns", source.SnapshotGroup
	client := sourceClient(t)
	i := sourceInformers(t, client, SourceScope{Snapshots: true},
		claim("wanting", func(*corev1.PersistentVolumeClaim) {}),
		claim("beta", func(c *corev1.PersistentVolumeClaim) {
			c.Annotations = map[string]string{names.StorageProvisionerBeta: driverName}
		}),
		claim("migrated", func(c *corev1.PersistentVolumeClaim) {
			c.Annotations = map[string]string{names.StorageProvisioner: "in-tree", names.MigratedTo: driverName}
		}),
		claim("by-reference", func(c *corev1.PersistentVolumeClaim) {
			c.Namespace, c.Spec.DataSource = "other", nil
			c.Spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: &group, Kind: source.KindSnapshot, Name: "daily", Namespace: &elsewhere}
		}),
		claim("bound", func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "pv" }),
		claim("of-another-driver", func(c *corev1.PersistentVolumeClaim) { c.Annotations[names.StorageProvisioner] = "other" }),
		claim("of-no-driver", func(c *corev1.PersistentVolumeClaim) { c.Annotations = nil }),
		claim("of-another-snapshot", func(c *corev1.PersistentVolumeClaim) { c.Spec.DataSource.Name = "weekly" }),
		claim("elsewhere", func(c *corev1.PersistentVolumeClaim) { c.Namespace = "other" }),
		claim("empty", func(c *corev1.PersistentVolumeClaim) { c.Spec.DataSource = nil }),
	)
	found, err := i.ClaimsOf(source.Key{Kind: source.KindSnapshot, Namespace: "ns", Name: "daily"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, claim := range found {
		got[claim.Name] = true
	}
	if diff := cmp.Diff(map[string]bool{"wanting": true, "beta": true, "migrated": true, "by-reference": true}, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}

	protected := func() int {
		found, err := i.ProtectedSnapshots()
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if protected() != 0 {
		t.Error("a snapshot is protected")
	}
	if err := NewSources(client, i).Protect(t.Context(), source.Object{Key: source.Key{Kind: source.KindSnapshot, Namespace: "ns", Name: "daily"}, UID: "snap-uid"}); err != nil {
		t.Fatal(err)
	}
	if err := wait.PollUntilContextTimeout(t.Context(), syncPoll, wait.ForeverTestTimeout, true, func(context.Context) (bool, error) { return protected() == 1, nil }); err != nil {
		t.Errorf("the protected snapshot is not found: %v", err)
	}
}

// The cache does not hold all of the claims that name another driver.
func TestTrimmedClaimIsReadWhole(t *testing.T) {
	client := sourceClient(t)
	whole := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "original", Annotations: map[string]string{names.StorageProvisioner: "other"}, Finalizers: []string{"x", names.CloneFinalizer}},
		Spec:       corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}},
	}
	i := sourceInformers(t, client, SourceScope{}, whole)
	claim, err := NewSources(client, i).Claim(t.Context(), "ns", "original")
	if err != nil || claim.UID != "orig-uid" {
		t.Errorf("the claim is %v: %v", claim, err)
	}
	trimmed, err := i.ClaimLister().PersistentVolumeClaims("ns").Get("original")
	if err != nil || cmp.Diff([]string{names.CloneFinalizer}, trimmed.Finalizers) != "" {
		t.Errorf("the finalizers in the cache are %v: %v", trimmed.Finalizers, err)
	}
	if missing, err := NewSources(client, i).Claim(t.Context(), "ns", "missing"); missing != nil || err != nil {
		t.Errorf("a claim that does not exist is %v: %v", missing, err)
	}
}

// What is cached is what is read, and no more; what can't be read is not ready.
func TestTrimSources(t *testing.T) {
	from := object(t, snapshotYAML)
	from.SetFinalizers([]string{"other", names.SnapshotFinalizer})
	trimmed, err := trimSnapshot(from)
	snapshot, ok := trimmed.(*source.Snapshot)
	if err != nil || !ok || len(snapshot.Labels) > 0 || cmp.Diff([]string{names.SnapshotFinalizer}, snapshot.Finalizers) != "" {
		t.Errorf("the snapshot is %v: %v", trimmed, err)
	}
	if again, err := trimSnapshot(snapshot); err != nil || again != any(snapshot) {
		t.Errorf("what is trimmed becomes %v: %v", again, err)
	}
	broken := object(t, snapshotYAML)
	broken.Object["status"] = map[string]any{"readyToUse": "perhaps", "boundVolumeSnapshotContentName": "content"}
	trimmed, err = trimSnapshot(broken)
	if snapshot, ok := trimmed.(*source.Snapshot); err != nil || !ok || snapshot.Name != "daily" || snapshot.Status.Content != nil {
		t.Errorf("the broken snapshot is %v: %v", trimmed, err)
	}
	broken = object(t, grantYAML)
	broken.Object["spec"] = map[string]any{"from": []any{map[string]any{"kind": "PersistentVolumeClaim", "namespace": "other"}}, "to": "everything"}
	trimmed, err = trimGrant(broken)
	if grant, ok := trimmed.(*source.Grant); err != nil || !ok || len(grant.Spec.From) > 0 {
		t.Errorf("the broken grant is %v: %v", trimmed, err)
	}
}

func TestHasSnapshots(t *testing.T) {
	for name, test := range map[string]struct {
		installed bool
		denied    string
		want      bool
	}{
		"all": {true, "", true}, "not installed": {false, "", false}, "no list": {true, "list", false}, "no watch": {true, "watch", false},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			client.PrependReactor("create", "selfsubjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
				review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview).DeepCopy()
				attributes := review.Spec.ResourceAttributes
				review.Status.Allowed = attributes.Verb != test.denied && attributes.Resource == "volumesnapshots" && attributes.Group == source.SnapshotGroup
				return true, review, nil
			})
			if test.installed {
				client.Discovery().(*fakediscovery.FakeDiscovery).Resources = []*metav1.APIResourceList{
					{GroupVersion: snapshots().GroupVersion().String(), APIResources: []metav1.APIResource{{Name: "volumesnapshots"}}},
					{GroupVersion: grants().GroupVersion().String(), APIResources: []metav1.APIResource{{Name: "referencegrants"}}},
				}
			}
			if got, err := HasSnapshots(t.Context(), client); err != nil || got != test.want {
				t.Errorf("there are snapshots: %t (%v)", got, err)
			}
			if got, err := HasGrants(client); err != nil || got != test.installed {
				t.Errorf("there are grants: %t (%v)", got, err)
			}
		})
	}
}
