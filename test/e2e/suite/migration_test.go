package suite

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// What in-tree volumes are migrated from and to.
const (
	inTreePlugin = "kubernetes.io/aws-ebs"
	inTreeDriver = "ebs.csi.aws.com"
	inTreeZone   = "topology.ebs.csi.aws.com/zone"
)

const inTreeClass = `
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: %s-in-tree}
provisioner: %s
allowVolumeExpansion: true
parameters: {type: gp2, fsType: xfs}
`

// TestMigrated: claims for a class of an in-tree plugin get their volumes from the
// driver that has taken the plugin's place. The volumes are in-tree ones, are expanded, and
// are deleted again, and the metrics tell them from the driver's own.
func TestMigrated(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var err error
	s.driver, err = shared.StartDriver(s.ctx, s.id+"-ebs", inTreeDriver, "--backend=directory", inController,
		"--topology-key="+inTreeZone, "--segments="+inTreeZone+"=us-east-1a")
	s.must(err)
	t.Cleanup(func() { _ = s.driver.Process().Kill() })
	sidecar := s.sidecar()
	s.apply(fmt.Sprintf(inTreeClass, s.id, inTreePlugin))
	s.Cleanup(func() {
		_ = shared.Client.StorageV1().StorageClasses().Delete(context.WithoutCancel(s.ctx), s.id+"-in-tree", metav1.DeleteOptions{})
	})
	s.claim("c", s.id+"-in-tree")
	s.bound("c")
	s.madeInTree("c")
	s.claim("own", s.class("own", nil))
	if volume := s.bound("own"); volume.Spec.CSI == nil || volume.Annotations[provisionedBy] != inTreeDriver {
		t.Errorf("the volume of the driver's own class is %+v with %v", volume.Spec.PersistentVolumeSource, volume.Annotations)
	}

	s.ask("c", "2Gi")
	s.untilClaim("c", "is expanded", func(c *corev1.PersistentVolumeClaim) bool {
		return c.Status.Capacity.Storage().String() == "2Gi"
	})
	expanded := s.volumeOf("c")
	if expanded.Spec.AWSElasticBlockStore == nil || expanded.Spec.Capacity.Storage().String() != "2Gi" {
		t.Errorf("the expanded volume is %+v of %s", expanded.Spec.PersistentVolumeSource, expanded.Spec.Capacity.Storage())
	}

	s.deleteClaim("c")
	s.volumeGone(expanded.Name)
	if left := s.volumes(); len(left) != 1 {
		t.Errorf("the driver is left with %v, want that of its own class", left)
	}
	s.countsMigrated(sidecar, map[string]string{
		"CreateVolume migrated=true": "1", "CreateVolume migrated=false": "1",
		"ControllerExpandVolume migrated=true": "1", "DeleteVolume migrated=true": "1",
	})
}

// madeInTree checks the volume of a claim of the in-tree class.
func (s *scene) madeInTree(claim string) {
	s.Helper()
	if got := s.get(claim).Annotations[storageProvisioner]; got != inTreeDriver {
		s.Errorf("the claim is for %q", got)
	}
	request, call := s.created(0)
	volume := s.volumeOf(claim)
	disk := volume.Spec.AWSElasticBlockStore
	if volume.Spec.CSI != nil || disk == nil || disk.VolumeID != call.VolumeID || disk.FSType != "xfs" {
		s.Errorf("the volume is %+v, and that of the driver %s", volume.Spec.PersistentVolumeSource, call.VolumeID)
	}
	if got := volume.Annotations[provisionedBy]; got != inTreePlugin {
		s.Errorf("the volume is provisioned by %q", got)
	}
	if got := inJSON(volume.Spec.NodeAffinity); !strings.Contains(got, "topology.kubernetes.io/zone") || strings.Contains(got, inTreeZone) {
		s.Errorf("the volume is accessible from %s", got)
	}
	if !slices.Contains(volume.Finalizers, volumeFinalizer) {
		s.Errorf("the volume has the finalizers %v", volume.Finalizers)
	}
	if got := request.GetParameters(); len(got) != 1 || got["type"] != "gp2" {
		s.Errorf("the driver got the parameters %v", got)
	}
	s.until("the controller manager has noted that the volume is migrated", func() (bool, error) {
		return s.volumeOf(claim).Annotations[migratedTo] == inTreeDriver, nil
	})
}

// countsMigrated compares how often the methods were called, by the label migrated.
func (s *scene) countsMigrated(sidecar *stage.Sidecar, want map[string]string) {
	s.Helper()
	for call, times := range want {
		method, migrated, _ := strings.Cut(call, " migrated=")
		line := fmt.Sprintf(`csi_sidecar_operations_seconds_count{driver_name=%q,grpc_status_code="OK",method_name="/csi.v1.Controller/%s",migrated=%q} %s`, inTreeDriver, method, migrated, times)
		// The last call is counted when it has returned.
		s.until("the metrics have "+line, func() (bool, error) {
			_, metrics, err := sidecar.Get("/metrics")
			return strings.Contains(metrics, line+"\n"), err
		})
	}
}
