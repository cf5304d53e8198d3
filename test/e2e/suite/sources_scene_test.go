package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

const (
	restoreFinalizer = "provisioner.storage.kubernetes.io/volumesnapshot-as-source-protection"
	cloneFinalizer   = "provisioner.storage.kubernetes.io/cloning-protection"
	snapshotGroup    = "snapshot.storage.k8s.io"
	// patient are the flags of a sidecar by which nothing is tried again before its
	// test is over: what goes on does because something has changed.
	patient, mostPatient = "--retry-interval-start=10m", "--retry-interval-max=20m"
)

// snapshotKinds are VolumeSnapshots of the scene's namespace, and
// VolumeSnapshotContents.
func (s *scene) snapshotKinds() (snapshots, contents dynamic.ResourceInterface) {
	s.Helper()
	client, err := dynamic.NewForConfig(shared.Cluster.RESTConfig())
	s.must(err)
	of := func(resource string) dynamic.NamespaceableResourceInterface {
		return client.Resource(schema.GroupVersionResource{Group: snapshotGroup, Version: "v1", Resource: resource})
	}
	return of("volumesnapshots").Namespace(s.id), of("volumesnapshotcontents")
}

// takeSnapshot has the driver take a snapshot of a volume, and returns its handle.
func (s *scene) takeSnapshot(name string, volume *corev1.PersistentVolume) string {
	s.Helper()
	conn, err := grpc.NewClient("unix://"+s.driver.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	s.must(err)
	defer conn.Close()
	response, err := csipb.NewControllerClient(conn).CreateSnapshot(s.ctx, &csipb.CreateSnapshotRequest{
		Name: name, SourceVolumeId: volume.Spec.CSI.VolumeHandle,
	})
	s.must(err)
	return response.GetSnapshot().GetSnapshotId()
}

// snapshot makes a VolumeSnapshot and its content as the snapshot controller and
// external-snapshotter do, ready to use, of a snapshot that the driver has; the
// changes come before the content is written.
func (s *scene) snapshot(name, handle string, changes ...func(content *unstructured.Unstructured)) {
	s.Helper()
	snapshots, contents := s.snapshotKinds()
	contentName := "content-" + s.id + "-" + name
	snapshot, err := snapshots.Create(s.ctx, objectOf("VolumeSnapshot", name, map[string]any{"source": map[string]any{"volumeSnapshotContentName": contentName}}), metav1.CreateOptions{})
	s.must(err)
	content := objectOf("VolumeSnapshotContent", contentName, map[string]any{
		"driver": s.driver.Name, "deletionPolicy": "Retain", "source": map[string]any{"snapshotHandle": handle},
		"volumeSnapshotRef": map[string]any{"kind": "VolumeSnapshot", "namespace": s.id, "name": name, "uid": string(snapshot.GetUID())},
	})
	for _, change := range changes {
		change(content)
	}
	content, err = contents.Create(s.ctx, content, metav1.CreateOptions{})
	s.must(err)
	s.Cleanup(func() {
		ctx := context.WithoutCancel(s.ctx)
		_ = contents.Delete(ctx, contentName, metav1.DeleteOptions{})
		_ = snapshots.Delete(ctx, name, metav1.DeleteOptions{})
	})
	s.must(unstructured.SetNestedField(content.Object, handle, "status", "snapshotHandle"))
	_, err = contents.UpdateStatus(s.ctx, content, metav1.UpdateOptions{})
	s.must(err)
	s.snapshotStatus(name, map[string]any{"boundVolumeSnapshotContentName": contentName, "readyToUse": true, "restoreSize": "1Gi"})
}

func objectOf(kind, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": snapshotGroup + "/v1", "kind": kind, "metadata": map[string]any{"name": name}, "spec": spec,
	}}
}

// snapshotStatus sets the status of a VolumeSnapshot.
func (s *scene) snapshotStatus(name string, status map[string]any) {
	s.Helper()
	snapshots, _ := s.snapshotKinds()
	s.until("snapshot "+name+" has its status", func() (bool, error) {
		snapshot, err := snapshots.Get(s.ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		snapshot.Object["status"] = status
		_, err = snapshots.UpdateStatus(s.ctx, snapshot, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return false, nil
		}
		return err == nil, err
	})
}

// deleteSnapshot deletes a VolumeSnapshot, and does not wait for its end.
func (s *scene) deleteSnapshot(name string) {
	s.Helper()
	snapshots, _ := s.snapshotKinds()
	s.must(snapshots.Delete(s.ctx, name, metav1.DeleteOptions{}))
}

// finalizers returns those of a VolumeSnapshot; false when it is gone.
func (s *scene) finalizers(name string) ([]string, bool) {
	s.Helper()
	snapshots, _ := s.snapshotKinds()
	snapshot, err := snapshots.Get(s.ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, false
	}
	s.must(err)
	return snapshot.GetFinalizers(), true
}

// protected fails the test unless the snapshot is kept for restores.
func (s *scene) protected(name string) {
	s.Helper()
	if finalizers, exists := s.finalizers(name); !exists || !slices.Contains(finalizers, restoreFinalizer) {
		s.Errorf("snapshot %s exists: %t, with the finalizers %q", name, exists, finalizers)
	}
}

// freed waits until a snapshot has no finalizer any more, or is gone.
func (s *scene) freed(name string) {
	s.Helper()
	s.until("snapshot "+name+" is released", func() (bool, error) {
		finalizers, _ := s.finalizers(name)
		return len(finalizers) == 0, nil
	})
}

// addFinalizer gives one to a VolumeSnapshot.
func (s *scene) addFinalizer(name, finalizer string) {
	s.Helper()
	snapshots, _ := s.snapshotKinds()
	_, err := snapshots.Patch(s.ctx, name, types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"finalizers":[%q]}}`, finalizer), metav1.PatchOptions{})
	s.must(err)
}

// isCloned tells whether a claim has the finalizer of clones; false when it is gone.
func (s *scene) isCloned(name string) (cloned, exists bool) {
	s.Helper()
	claim, err := shared.Client.CoreV1().PersistentVolumeClaims(s.id).Get(s.ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, false
	}
	s.must(err)
	return slices.Contains(claim.Finalizers, cloneFinalizer), true
}

// clonesEnd waits until a claim has no finalizer of clones any more.
func (s *scene) clonesEnd(name string) {
	s.Helper()
	s.until("claim "+name+" is not kept for clones", func() (bool, error) {
		cloned, _ := s.isCloned(name)
		return !cloned, nil
	})
}

// ofSnapshot is a claim that is made from a snapshot.
func ofSnapshot(name string) func(*corev1.PersistentVolumeClaim) {
	return func(claim *corev1.PersistentVolumeClaim) {
		group := snapshotGroup
		claim.Spec.DataSource = &corev1.TypedLocalObjectReference{APIGroup: &group, Kind: "VolumeSnapshot", Name: name}
	}
}

// ofClaim is one that is made from another one.
func ofClaim(name string) func(*corev1.PersistentVolumeClaim) {
	return func(claim *corev1.PersistentVolumeClaim) {
		claim.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: name}
	}
}

// byReference is the same by spec.dataSourceRef, of that namespace if there is one.
func byReference(source func(*corev1.PersistentVolumeClaim), namespace string) func(*corev1.PersistentVolumeClaim) {
	return func(claim *corev1.PersistentVolumeClaim) {
		source(claim)
		from := claim.Spec.DataSource
		claim.Spec.DataSource = nil
		claim.Spec.DataSourceRef = &corev1.TypedObjectReference{APIGroup: from.APIGroup, Kind: from.Kind, Name: from.Name}
		if namespace != "" {
			claim.Spec.DataSourceRef.Namespace = &namespace
		}
	}
}

// fileSystemOf returns the path at which the kubelet has a claim's file system for a
// running pod of the claim's name.
func (s *scene) fileSystemOf(claim *corev1.PersistentVolumeClaim) string {
	s.Helper()
	volume := s.boundToOne(claim)
	s.pod(claim.Name, claim)
	pod := s.running(claim.Name)
	return filepath.Join(shared.Cluster.KubeletDir(), "pods", string(pod.UID), "volumes", "kubernetes.io~csi", volume.Name, "mount")
}

// deviceOf does the same for a device.
func (s *scene) deviceOf(claim *corev1.PersistentVolumeClaim) string {
	s.Helper()
	s.boundToOne(claim)
	s.pod(claim.Name, claim)
	s.running(claim.Name)
	published := s.volumesOf(claim)[0].PublishedAt
	if len(published) != 1 {
		s.Fatalf("the volume is published at %q", published)
	}
	return published[0]
}

const greeting = "greeting"

func (s *scene) write(path, text string) {
	s.Helper()
	s.must(os.WriteFile(path, []byte(text), 0o600))
}

// holds fails the test unless a file, or a device, begins with a text.
func (s *scene) holds(path, text string) {
	s.Helper()
	file, err := os.Open(path)
	s.must(err)
	defer file.Close()
	got := make([]byte, len(text))
	if _, err := file.ReadAt(got, 0); err != nil || string(got) != text {
		s.Errorf("%s holds %q (%v), want %q", path, got, err, text)
	}
}

// originalOf is a bound claim to make others from, with the snapshot "daily".
func (s *scene) originalOf(class string, changes ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	s.Helper()
	original := s.claim("original", class, changes...)
	s.snapshot("daily", s.takeSnapshot("daily", s.boundToOne(original)))
	return original
}

// restricted is a kubeconfig of a service account that has the sidecar's rights, but
// for those to VolumeSnapshots, of which it has these.
func (s *scene) restricted(t *testing.T, name, verbs string) string {
	t.Helper()
	s.apply(fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: %[1]s-%[2]s}
rules:
- {apiGroups: [""], resources: [persistentvolumes], verbs: [get, list, watch, create, patch, delete]}
- {apiGroups: [""], resources: [persistentvolumeclaims], verbs: [get, list, watch, update]}
- {apiGroups: [""], resources: [events], verbs: [create, patch]}
- {apiGroups: [""], resources: [nodes], verbs: [list, watch]}
- {apiGroups: [""], resources: [configmaps], verbs: [list, create, patch, delete]}
- {apiGroups: [storage.k8s.io], resources: [storageclasses, csinodes, volumeattachments, volumeattributesclasses], verbs: [get, list, watch]}
- {apiGroups: [snapshot.storage.k8s.io], resources: [volumesnapshotcontents], verbs: [get]}
- {apiGroups: [snapshot.storage.k8s.io], resources: [volumesnapshots], verbs: [%[3]s]}
`, s.id, name, verbs))
	return s.account(name, s.id+"-"+name)
}
