package suite

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
)

// TestTimeoutsOfEachKind: growing and modifying have time-outs of their own, and who
// waits for them in vain is told which.
func TestTimeoutsOfEachKind(t *testing.T) {
	t.Parallel()
	s := newScene(t, inController, "--mutable-parameters=iops")
	s.sidecar("--timeout=1m", "--resize-timeout=1s", "--modify-timeout=2s")
	class := s.growingClass("sc", nil)
	gold := s.attributes("gold", s.driver.Name, "iops", "9000")

	growing, modifying := s.claim("growing", class), s.claim("modifying", class)
	s.bound(growing.Name)
	s.bound(modifying.Name)
	growOn := s.rule(control.Rule{Match: expanding(growing), Hang: true, Count: 1})
	modifyOn := s.rule(control.Rule{Match: modifyingVolume(modifying), Hang: true, Count: 1})
	s.ask(growing.Name, "2Gi")
	s.name(modifying.Name, gold)
	s.event(s.id, growing.Name, reasonResizeFailed, "within 1s (--resize-timeout)")
	s.event(s.id, modifying.Name, reasonModifyFailed, "within 2s (--modify-timeout)")
	growOn()
	modifyOn()
	s.untilClaim(growing.Name, "has grown", func(c *corev1.PersistentVolumeClaim) bool { return isSize(c.Status.Capacity, "2Gi") })
	s.modified(modifying.Name, gold)
}
