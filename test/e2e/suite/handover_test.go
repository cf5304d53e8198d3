package suite

import (
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

// handOverLimit is how long after its end a leader may be missed.
const handOverLimit = time.Second

// TestHandOver: a leader that is told to stop while a claim is in flight
// finishes it, gives the lease back and exits with code 0, and the standby goes
// on at once, although nothing is faster than the defaults.
func TestHandOver(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	class := s.class("sc", nil)
	first := s.namedSidecar("a-"+s.id, "--leader-election")
	s.holder("a-" + s.id)
	standby := s.namedSidecar("b-"+s.id, "--leader-election")

	release := s.rule(control.Rule{ID: "slow", Match: control.Match{Method: "CreateVolume"}, Hang: true})
	s.claim("in-flight", class)
	_, err := s.driver.Control.WaitForCalls(s.ctx, control.Filter{Rule: "slow", State: control.Running}, 1)
	s.must(err)
	s.must(first.Signal(syscall.SIGTERM))
	s.until("the leader has begun to stop", func() (bool, error) { return contains(first, "Stopping"), nil })
	next := s.claim("next", class)
	release()

	s.must(first.Wait())
	ended := time.Now()
	took := s.gap(ended, next)
	s.bound("next")
	t.Logf("the driver was called for the next claim %s after the end of the leader", took.Round(time.Millisecond))
	if took > handOverLimit {
		t.Errorf("the hand-over took %s, want less than %s", took, handOverLimit)
	}
	s.bound("in-flight")
	if calls := s.calls("CreateVolume", 2); len(calls) != 2 {
		t.Errorf("CreateVolume was called %d times for 2 claims", len(calls))
	}
	if have := s.volumes(); len(have) != 2 {
		t.Errorf("the driver has %d volumes for 2 claims", len(have))
	}
	s.holder("b-" + s.id)
	// The last one gives the lease back, too.
	s.must(standby.Signal(syscall.SIGTERM))
	s.must(standby.Wait())
	s.holder("")
}

// TestStandbyStops: a standby that is told to stop does so at once, and leaves
// the leader its lease.
func TestStandbyStops(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	leader := s.namedSidecar("a-"+s.id, "--leader-election")
	s.holder("a-" + s.id)
	standby := s.namedSidecar("b-"+s.id, "--leader-election")
	s.must(standby.Signal(syscall.SIGTERM))
	s.must(standby.Wait())
	s.holder("a-" + s.id)
	if status, body, err := leader.Get("/healthz/leader-election"); err != nil || status != 200 {
		t.Errorf("the leader's health is %d %q, %v", status, body, err)
	}
}

// holder waits until the lease of the scene's driver has that holder, and checks
// the lease's name, which external-provisioner's is the same as.
func (s *scene) holder(want string) {
	s.Helper()
	s.leaseHolder(s.id+"-example", want)
}

// leaseHolder waits until a lease has that holder.
func (s *scene) leaseHolder(name, want string) {
	s.Helper()
	s.until("lease "+name+" is held by "+want, func() (bool, error) {
		leases, err := shared.Client.CoordinationV1().Leases(metav1.NamespaceDefault).List(s.ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
		if err != nil || len(leases.Items) != 1 {
			return false, err
		}
		return holderOf(&leases.Items[0]) == want, nil
	})
}

func holderOf(lease *coordinationv1.Lease) string {
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

func contains(sidecar *stage.Sidecar, entry string) bool { return logged(sidecar.Log(), entry) }
