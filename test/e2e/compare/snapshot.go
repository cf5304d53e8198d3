package compare

import (
	"context"
	"fmt"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Snapshot has the driver take a snapshot of a claim's volume, and makes the objects
// that snapshot controllers make of it: a VolumeSnapshot of that name, and the
// VolumeSnapshotContent $(ID)-NAME, ready to use.
type Snapshot struct {
	Of   string `json:"of"`
	Name string `json:"name"`
}

// snapshotObjects are the objects of a snapshot; their status comes with another
// write.
const snapshotObjects = `
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: %[2]s}
spec: {source: {persistentVolumeClaimName: %[3]s}}
---
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshotContent
metadata: {name: %[1]s-%[2]s}
spec:
  driver: %[4]s
  deletionPolicy: Retain
  source: {snapshotHandle: %[5]s}
  sourceVolumeMode: Filesystem
  volumeSnapshotRef: {kind: VolumeSnapshot, namespace: %[1]s, name: %[2]s}
`

func (s *side) snapshot(ctx context.Context, snapshot *Snapshot) error {
	handle, err := s.takeSnapshot(ctx, snapshot)
	if err != nil {
		return err
	}
	s.aliases.Add(handle, "snapshot "+snapshot.Name)
	objects, err := s.objects.Apply(ctx, s.id, fmt.Sprintf(snapshotObjects, s.id, snapshot.Name, snapshot.Of, s.driverName(), handle), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	uid := objects[0].GetUID()
	s.aliases.UID(string(uid), "VolumeSnapshot "+snapshot.Name)
	for _, patch := range []*Patch{
		{Object: Ref("VolumeSnapshotContent " + objects[1].GetName()), With: fmt.Appendf(nil, `{"spec": {"volumeSnapshotRef": {"uid": %q}}}`, uid)},
		{Object: Ref("VolumeSnapshotContent " + objects[1].GetName()), Subresource: "status", With: fmt.Appendf(nil, `{"status": {"snapshotHandle": %q, "readyToUse": true}}`, handle)},
		{Object: Ref("VolumeSnapshot " + snapshot.Name), Subresource: "status", With: fmt.Appendf(nil, `{"status": {"boundVolumeSnapshotContentName": %q, "readyToUse": true, "restoreSize": "1Gi"}}`, objects[1].GetName())},
	} {
		if err := s.patch(ctx, patch); err != nil {
			return err
		}
	}
	return nil
}

// takeSnapshot has the driver take a snapshot, and returns its handle.
func (s *side) takeSnapshot(ctx context.Context, snapshot *Snapshot) (string, error) {
	name, err := s.volumeOf(ctx, snapshot.Of)
	if err != nil {
		return "", err
	}
	volume, err := s.stage.Client.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	connection, err := grpc.NewClient("unix://"+s.driver.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", err
	}
	defer connection.Close()
	response, err := csipb.NewControllerClient(connection).CreateSnapshot(ctx, &csipb.CreateSnapshotRequest{
		Name: snapshot.Name, SourceVolumeId: volume.Spec.CSI.VolumeHandle,
	})
	if err != nil {
		return "", fmt.Errorf("taking snapshot %q: %w", snapshot.Name, err)
	}
	return response.GetSnapshot().GetSnapshotId(), nil
}
