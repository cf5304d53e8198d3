package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// foreignManifests are a volume of another driver, and a claim for it; whoever
// has annotated them says that they are the scene's driver's, as anybody can.
const foreignManifests = `
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: %[1]s-foreign}
provisioner: foreign.example
allowVolumeExpansion: true
---
apiVersion: v1
kind: PersistentVolume
metadata:
  name: %[1]s-foreign
  annotations:
    volume.alpha.kubernetes.io/pre-resize-capacity: 512Mi
    pv.kubernetes.io/provisioned-by: %[1]s.example
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: %[1]s-foreign
  claimRef: {namespace: %[1]s, name: foreign}
  csi:
    driver: foreign.example
    volumeHandle: foreign-handle
    controllerExpandSecretRef: {namespace: %[1]s, name: foreign-secret}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: foreign
  namespace: %[1]s
  annotations: {volume.kubernetes.io/storage-resizer: %[1]s.example}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: %[1]s-foreign
  volumeName: %[1]s-foreign
  resources: {requests: {storage: 1Gi}}
`

// TestExpandForeign (W-C4, W-C5): whatever annotations say, the volume of another
// driver is neither read nor written, and its handle and its Secret don't reach
// this one.
func TestExpandForeign(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	s.secret(s.id, "foreign-secret", arraySecret())
	s.apply(fmt.Sprintf(foreignManifests, s.id))
	s.Cleanup(func() {
		ctx := context.WithoutCancel(s.ctx)
		_ = shared.Client.CoreV1().PersistentVolumes().Delete(ctx, s.id+"-foreign", metav1.DeleteOptions{})
		_ = shared.Client.StorageV1().StorageClasses().Delete(ctx, s.id+"-foreign", metav1.DeleteOptions{})
	})
	s.bound("foreign")
	p := s.proxy()
	s.through(p)
	s.ask("foreign", "2Gi")
	s.expandsAnother()
	s.volumeHas("foreign", "1Gi")
	if got := s.get("foreign"); stateOf(got) != "" || len(resizeConditions(got)) > 0 {
		t.Errorf("the claim has the status %s", inJSON(got.Status))
	}
	if got := s.volumeOf("foreign").Annotations[preResizeCapacity]; got != "512Mi" {
		t.Errorf("the volume's mark is %q", got)
	}
	if got := p.Writes(proxy.Match{Path: "/persistentvolumeclaims/foreign|/persistentvolumes/.*-foreign"}); len(got) > 0 {
		t.Errorf("the sidecar has written %v", got)
	}
	if got := p.Reads(proxy.Match{Path: "/namespaces/" + s.id + "/secrets/"}); len(got) > 0 {
		t.Errorf("the sidecar has read %v", got)
	}
	if got := s.resizeEvents("foreign"); len(got) > 0 {
		t.Errorf("there are the events %v", got)
	}
	for _, call := range s.calls("ControllerExpandVolume", 1) {
		if call.VolumeID == "foreign-handle" || len(call.Secrets) > 0 {
			t.Errorf("the driver was called: %s", call)
		}
	}
}

const byHandManifests = `
apiVersion: v1
kind: PersistentVolume
metadata: {name: %[1]s-c}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: %[1]s-sc
  claimRef: {namespace: %[1]s, name: c}
  csi: {driver: %[1]s.example, volumeHandle: by-hand}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c, namespace: %[1]s, annotations: {%[2]q: %[3]q}}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: %[1]s-sc
  volumeName: %[1]s-c
  resources: {requests: {storage: 1Gi}}
`

// TestExpandByHand: a volume that an administrator has made, for a claim that tells
// of no driver, or of the one that had the volume before, is expanded as others are.
func TestExpandByHand(t *testing.T) {
	t.Parallel()
	for name, annotation := range map[string]string{
		"no driver":      "note",
		"another driver": "volume.kubernetes.io/storage-provisioner",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expandByHand(t, annotation)
		})
	}
}

func expandByHand(t *testing.T, annotation string) {
	t.Helper()
	s := newScene(t, inController)
	s.sidecar()
	s.expandableClass("sc", nil)
	s.apply(fmt.Sprintf(byHandManifests, s.id, annotation, "old.example"))
	s.Cleanup(func() {
		_ = shared.Client.CoreV1().PersistentVolumes().Delete(context.WithoutCancel(s.ctx), s.id+"-c", metav1.DeleteOptions{})
	})
	s.bound("c")
	s.ask("c", "2Gi")
	// The driver has no such volume, and says so.
	s.event(s.id, "c", reasonResizeFailed, "NotFound")
}

// expandsAnother expands a volume, to show that there was time to do what was asked
// for before.
func (s *scene) expandsAnother() {
	s.Helper()
	s.claim("another", s.expandableClass("another", nil))
	s.bound("another")
	s.ask("another", "2Gi")
	s.expanded("another", "2Gi")
}

// TestExpandTerminating (W-C20): a claim that is being deleted is left alone.
func TestExpandTerminating(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	p := s.proxy()
	s.through(p)
	claim := s.claim("c", s.expandableClass("sc", nil), func(claim *corev1.PersistentVolumeClaim) {
		claim.Finalizers = []string{"example.com/wait"}
	})
	s.bound("c")
	s.deleteClaim("c")
	s.ask("c", "2Gi")
	s.expandsAnother()
	s.asked(claim)
	s.cost(p, claim, 0, 0, map[string]int32{})
	s.changeClaim("c", func(claim *corev1.PersistentVolumeClaim) { claim.Finalizers = nil })
}

// TestExpandRecreated (W-C11): another claim of the same name has nothing to do
// with the failures of the first.
func TestExpandRecreated(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	s.sidecar("--retry-interval-start=5m", "--retry-interval-max=5m")
	class := s.expandableClass("sc", nil)
	for _, code := range []codes.Code{codes.OutOfRange, codes.FailedPrecondition, codes.Internal} {
		claim := s.claim("c", class)
		s.bound("c")
		s.rule(control.Rule{Match: expanding(claim), Code: code, Message: "no: " + code.String()})
		s.ask("c", "2Gi")
		s.event(s.id, "c", reasonResizeFailed, "no: "+code.String())
		s.deleteClaim("c")
		s.claimGone("c")
	}
	claim := s.claim("c", class)
	s.bound("c")
	s.ask("c", "2Gi")
	s.expanded("c", "2Gi")
	s.asked(claim, "2Gi")
}

// TestExpandLegacy: without RecoverVolumeExpansionFailure the claim's status tells
// of an expansion with conditions alone.
func TestExpandLegacy(t *testing.T) {
	t.Parallel()
	for name, driver := range map[string]string{"controller": inController, "node": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, driverFlags(driver)...)
			p := s.proxy()
			s.through(p, "--feature-gates=RecoverVolumeExpansionFailure=false")
			claim := s.claim("c", s.expandableClass("sc", nil))
			s.bound("c")
			s.ask("c", "2Gi")
			expanded := s.untilClaim("c", "is expanded", func(c *corev1.PersistentVolumeClaim) bool {
				if driver == inController {
					return isSize(c.Status.Capacity, "2Gi")
				}
				conditions := resizeConditions(c)
				return len(conditions) == 1 && conditions[0] == corev1.PersistentVolumeClaimFileSystemResizePending
			})
			s.volumeHas("c", "2Gi")
			if driver == inController && len(resizeConditions(expanded)) > 0 {
				t.Errorf("the claim has the conditions %v", resizeConditions(expanded))
			}
			if expanded.Status.AllocatedResources != nil || expanded.Status.AllocatedResourceStatuses != nil || expanded.Annotations[nodeExpansionNotRequired] != "" {
				t.Errorf("the claim tells of the gate: %s, annotations %v", inJSON(expanded.Status), expanded.Annotations)
			}
			s.asked(claim, "2Gi")
			if got := p.Writes(s.patches("c", "")); len(got) != 2 {
				t.Errorf("%d patches of the claim: %s", len(got), bodies(got))
			}
		})
	}
}

// resizerLease is the name of external-resizer's lease for the scene's driver.
func (s *scene) resizerLease() string { return "external-resizer-" + s.id + "-example" }

// TestResizerProgram: one image in the place of two. Under the name of
// external-resizer the program does that one's work alone, takes its flags, and
// holds its lease.
func TestResizerProgram(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	program := filepath.Join(t.TempDir(), "csi-resizer")
	s.must(os.Symlink(shared.Program("csi-provisioner"), program))
	resizer, err := shared.StartSidecarAs(s.ctx, program, "resizer-"+s.id, s.driver,
		"-leader-election", "-workers=3", "-handle-volume-inuse-error=false", "-retry-interval-max=2s", "-v=5")
	s.must(err)
	s.Cleanup(func() {
		_ = resizer.Kill()
		s.keepsSecrets("csi-resizer", resizer.Log())
	})
	s.must(resizer.WaitReady(s.ctx))
	s.leaseHolder(s.resizerLease(), "resizer-"+s.id)
	_, err = shared.Client.CoordinationV1().Leases(metav1.NamespaceDefault).Get(s.ctx, s.id+"-example", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("csi-resizer holds external-provisioner's lease, too: %v", err)
	}
	claim := s.claim("c", s.expandableClass("sc", nil))
	s.namedSidecar("provisioner-"+s.id, "--controllers=provisioner", "--leader-election")
	s.holder("provisioner-" + s.id)
	s.bound("c")
	s.ask("c", "2Gi")
	s.expanded("c", "2Gi")
	s.asked(claim, "2Gi")
	if logged(resizer.Log(), "CreateVolume") {
		t.Error("csi-resizer has created volumes")
	}
	s.leaseHolder(s.resizerLease(), "resizer-"+s.id)
}

// TestBothLeases: a program that does both holds both leases, and does nothing
// while an old external-resizer has one of them.
func TestBothLeases(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	old, seconds, now := "old-resizer", int32(3600), metav1.NowMicro()
	leases := shared.Client.CoordinationV1().Leases(metav1.NamespaceDefault)
	_, err := leases.Create(s.ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: s.resizerLease()},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &old, LeaseDurationSeconds: &seconds, AcquireTime: &now, RenewTime: &now},
	}, metav1.CreateOptions{})
	s.must(err)
	claim := s.claim("c", s.expandableClass("sc", nil))
	// Long enough for the old one never to be taken for dead.
	sidecar := s.sidecar("--leader-election", "--leader-election-lease-duration=5m")
	s.until("the sidecar finds the lease held", func() (bool, error) {
		return contains(sidecar, `"Lease is held by and has not yet expired"`), nil
	})
	s.untouched(claim)
	freed := time.Now()
	_, err = leases.Patch(s.ctx, s.resizerLease(), types.MergePatchType, []byte(`{"spec":{"holderIdentity":""}}`), metav1.PatchOptions{})
	s.must(err)
	s.bound("c")
	s.ask("c", "2Gi")
	s.expanded("c", "2Gi")
	s.holder("sidecar-" + s.id)
	s.leaseHolder(s.resizerLease(), "sidecar-"+s.id)
	if _, call := s.created(0); call.Started.Before(freed) {
		t.Errorf("CreateVolume was called %s before the lease was free", freed.Sub(call.Started))
	}
}

const migratedManifests = `
apiVersion: v1
kind: PersistentVolume
metadata: {name: %[1]s-c, annotations: {"pv.kubernetes.io/migrated-to": %[2]s}}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: %[1]s-sc
  claimRef: {namespace: %[1]s, name: c}
  gcePersistentDisk: {pdName: old-disk}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c, namespace: %[1]s}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: %[1]s-sc
  volumeName: %[1]s-c
  resources: {requests: {storage: 1Gi}}
`

// TestExpandMigrated: a volume of an in-tree plugin is expanded by the driver that has
// taken the plugin's place, which knows it by a handle of its own.
func TestExpandMigrated(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	const driver = "pd.csi.storage.gke.io"
	var err error
	s.driver, err = shared.StartDriver(s.ctx, s.id+"-pd", driver, "--backend=directory", inController)
	s.must(err)
	t.Cleanup(func() { _ = s.driver.Process().Kill() })
	s.sidecar()
	s.expandableClass("sc", nil)
	s.apply(fmt.Sprintf(migratedManifests, s.id, driver))
	s.Cleanup(func() {
		_ = shared.Client.CoreV1().PersistentVolumes().Delete(context.WithoutCancel(s.ctx), s.id+"-c", metav1.DeleteOptions{})
	})
	s.bound("c")
	s.ask("c", "2Gi")
	// The driver has no such volume, and says so.
	s.event(s.id, "c", reasonResizeFailed, "NotFound")
	if call := s.calls("ControllerExpandVolume", 1)[0]; !strings.Contains(call.VolumeID, "disks/old-disk") {
		t.Errorf("the driver was asked for %q", call.VolumeID)
	}
}
