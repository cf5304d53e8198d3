package suite

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// The stories of KEP 1790, by its numbers.

// sized is a claim that asks for a size at first.
func sized(size string) func(*corev1.PersistentVolumeClaim) {
	return func(claim *corev1.PersistentVolumeClaim) {
		claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
	}
}

// asked fails the test unless the driver's controller was asked for these sizes
// of a claim's volume, in this order; a size that was asked for again counts
// once.
func (s *scene) asked(claim *corev1.PersistentVolumeClaim, sizes ...string) {
	s.Helper()
	want, got := []int64{}, []int64{}
	for _, size := range sizes {
		want = append(want, bytesOf(size))
	}
	for _, size := range s.expansions(claim) {
		if len(got) == 0 || got[len(got)-1] != size {
			got = append(got, size)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("sizes asked of the driver for claim %s (-want +got):\n%s", claim.Name, diff)
	}
}

// TestKEP1790Story0Create: a claim that is made has no expansion.
func TestKEP1790Story0Create(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	p := s.proxy()
	s.through(p)
	class := s.expandableClass("sc", nil)
	claim := s.claim("c", class, sized("10Gi"))
	s.bound("c")
	// Another one, which is expanded, shows that there was time for more.
	s.claim("other", class)
	s.bound("other")
	s.ask("other", "2Gi")
	s.expanded("other", "2Gi")
	created := s.get("c")
	if created.Status.AllocatedResources != nil || stateOf(created) != "" || len(resizeConditions(created)) > 0 {
		t.Errorf("the status is %s", inJSON(created.Status))
	}
	s.asked(claim)
	s.cost(p, claim, 0, 0, map[string]int32{})
}

// TestKEP1790Story1Infeasible: 10Gi to 100Gi is infeasible, 20Gi succeeds, and
// the quota gets the difference back.
func TestKEP1790Story1Infeasible(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController, "--max-volume-size=50Gi")
	// Not a retry, but the user's change has to make the difference.
	s.sidecar("--retry-interval-max=5m")
	s.apply(fmt.Sprintf("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: quota, namespace: %s}\nspec: {hard: {requests.storage: 150Gi}}", s.id))
	s.quotaUsed("0")
	claim := s.claim("c", s.expandableClass("sc", nil), sized("10Gi"))
	s.bound("c")
	s.ask("c", "100Gi")
	failed := s.inState("c", stateInfeasible)
	if !isSize(failed.Status.AllocatedResources, "100Gi") {
		t.Errorf("the status is %s", inJSON(failed.Status))
	}
	t.Log(s.event(s.id, "c", reasonResizeFailed, "OutOfRange"))
	s.quotaUsed("100Gi")
	s.ask("c", "20Gi")
	s.expanded("c", "20Gi")
	s.quotaUsed("20Gi")
	s.asked(claim, "100Gi", "20Gi")
	if got := s.expansions(claim); len(got) != 2 {
		t.Errorf("the driver was asked for %v: an infeasible size costs one call", got)
	}
}

// quotaUsed waits until the namespace's quota says so.
func (s *scene) quotaUsed(size string) {
	s.Helper()
	s.until("the quota says that "+size+" are used", func() (bool, error) {
		quota, err := shared.Client.CoreV1().ResourceQuotas(s.id).Get(s.ctx, "quota", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		used, known := quota.Status.Used["requests.storage"]
		return known && used.Cmp(resource.MustParse(size)) == 0, nil
	})
}

// TestKEP1790Story2NodeOnly: the node of a driver that expands there only fails
// with 100Gi, and succeeds with 20Gi.
func TestKEP1790Story2NodeOnly(t *testing.T) {
	t.Parallel()
	s := newScene(t, onNode, "--max-volume-size=50Gi")
	s.needsKubelet()
	s.sidecar()
	claim := s.claim("c", s.expandableClass("sc", nil), sized("10Gi"))
	s.bound("c")
	s.pod("user", claim)
	s.running("user")
	s.ask("c", "100Gi")
	s.inState("c", corev1.PersistentVolumeClaimNodeResizeInfeasible)
	s.volumeHas("c", "100Gi")
	s.ask("c", "20Gi")
	s.expanded("c", "20Gi")
	s.asked(claim)
}

// TestKEP1790Story3ShrinkWhileRunning: what has been begun is finished, although
// the user has changed their mind.
func TestKEP1790Story3ShrinkWhileRunning(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	s.sidecar()
	claim := s.claim("c", s.expandableClass("sc", nil), sized("10Gi"))
	s.bound("c")
	release := s.rule(control.Rule{ID: "slow", Match: expanding(claim), Hang: true})
	s.ask("c", "100Gi")
	s.reached("slow")
	s.ask("c", "20Gi")
	release()
	s.expanded("c", "100Gi")
	s.asked(claim, "100Gi")
}

// TestKEP1790Story4CrashAndShrink: the driver rounds up, the sidecar is killed
// before it writes that down, the user asks for less: what the driver has done
// is found out, and stands.
func TestKEP1790Story4CrashAndShrink(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	p := s.proxy()
	sidecar := s.through(p)
	claim := s.claim("c", s.expandableClass("sc", nil), sized("10Gi"))
	s.bound("c")
	s.rule(control.Rule{Match: expanding(claim), CapacityDelta: 1 << 30})
	held := p.Add(proxy.Rule{Match: volumePatches(claim), Hold: true})
	s.ask("c", "100Gi")
	s.must(held.Wait(s.ctx, 1))
	s.must(sidecar.Kill())
	held.Remove()
	s.ask("c", "20Gi")
	s.namedSidecar("next-" + s.id)
	s.expanded("c", "101Gi")
	s.asked(claim, "100Gi")
}

// TestKEP1790Story5ManyChanges: 100Gi, 200Gi, then 20Gi while 100Gi is under
// way: it completes, and the rest is over.
func TestKEP1790Story5ManyChanges(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	s.sidecar()
	claim := s.claim("c", s.expandableClass("sc", nil), sized("10Gi"))
	s.bound("c")
	release := s.rule(control.Rule{ID: "slow", Match: expanding(claim), Hang: true})
	s.ask("c", "100Gi")
	s.reached("slow")
	s.ask("c", "200Gi")
	s.ask("c", "20Gi")
	release()
	s.expanded("c", "100Gi")
	s.asked(claim, "100Gi")
}

// TestShrinkAfterFinalError: after an error that ends the call the user may ask
// for less at once; also when another process has taken over (W-C12).
func TestShrinkAfterFinalError(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"same": false, "next": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, inController)
			// The user must not have to wait for a retry.
			flags := []string{"--retry-interval-start=5m", "--retry-interval-max=5m"}
			sidecar := s.sidecar(flags...)
			claim := s.claim("c", s.expandableClass("sc", nil))
			s.bound("c")
			s.rule(control.Rule{Match: control.Match{Method: "ControllerExpandVolume", MinRequiredBytes: bytesOf("50Gi")}, Code: codes.Internal, Message: "the array is broken"})
			s.ask("c", "100Gi")
			s.untilClaim("c", "has a ControllerResizeError", func(c *corev1.PersistentVolumeClaim) bool {
				return cmp.Equal(resizeConditions(c), []corev1.PersistentVolumeClaimConditionType{
					corev1.PersistentVolumeClaimResizing, corev1.PersistentVolumeClaimControllerResizeError,
				})
			})
			if restart {
				s.must(sidecar.Kill())
				s.ask("c", "20Gi")
				s.namedSidecar("next-"+s.id, flags...)
			} else {
				s.ask("c", "20Gi")
			}
			s.expanded("c", "20Gi")
			s.asked(claim, "100Gi", "20Gi")
		})
	}
}

// TestNoShrinkAfterOpenError: after an error that leaves open what the driver
// does, the size stands until it is known.
func TestNoShrinkAfterOpenError(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController)
	s.sidecar(soon)
	claim := s.claim("c", s.expandableClass("sc", nil))
	s.bound("c")
	// The driver does its work, and the answer is lost.
	remove := s.rule(control.Rule{ID: "lost", Match: expanding(claim), When: control.After, Code: codes.Unavailable, Message: "connection lost"})
	s.ask("c", "100Gi")
	s.reached("lost")
	s.event(s.id, "c", reasonResizeFailed, "connection lost")
	s.ask("c", "20Gi")
	remove()
	s.expanded("c", "100Gi")
	s.asked(claim, "100Gi")
}
