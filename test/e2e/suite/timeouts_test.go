package suite

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// TestTimeoutsOfEachKind: expanding and modifying have time-outs of their own, and who
// waits for them in vain is told which.
func TestTimeoutsOfEachKind(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController, "--mutable-parameters=iops")
	s.sidecar("--timeout=1m", "--resize-timeout=1s", "--modify-timeout=2s")
	class := s.expandableClass("sc", nil)
	gold := s.attributes("gold", s.driver.Name, "iops", "9000")

	larger, modified := s.claim("larger", class), s.claim("modified", class)
	s.bound(larger.Name)
	s.bound(modified.Name)
	expandOn := s.rule(control.Rule{Match: expanding(larger), Hang: true, Count: 1})
	modifyOn := s.rule(control.Rule{Match: modifyingVolume(modified), Hang: true, Count: 1})
	s.ask(larger.Name, "2Gi")
	s.name(modified.Name, gold)
	s.event(s.id, larger.Name, reasonResizeFailed, "within 1s (--resize-timeout)")
	s.event(s.id, modified.Name, reasonModifyFailed, "within 2s (--modify-timeout)")
	expandOn()
	modifyOn()
	s.untilClaim(larger.Name, "is expanded", func(c *corev1.PersistentVolumeClaim) bool { return isSize(c.Status.Capacity, "2Gi") })
	s.modified(modified.Name, gold)
}
