package suite

import (
	"errors"
	"os/exec"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/control"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// shortLease has a lease run out soon after its holder was stopped.
func shortLease() []string {
	return []string{
		"--leader-election", "--leader-election-lease-duration=3s",
		"--leader-election-renew-deadline=2s", "--leader-election-retry-period=500ms",
	}
}

// TestPausedLeader: a leader that is stopped in the middle of its work, and goes on
// after its lease has run out and another one has done the work, makes no call to
// the driver and no write that only the leader may make. It ends.
func TestPausedLeader(t *testing.T) {
	t.Parallel()
	const claims = 12
	s := newScene(t)
	class := s.class("sc", nil)
	p := s.proxied()
	// One call at a time, so that there is work left when it is stopped.
	first := s.namedSidecar("a-"+s.id, append(shortLease(), "--worker-threads=1", "--timeout=30s", "--master="+p.URL(), "--kubeconfig=")...)
	s.holder("a-" + s.id)
	s.namedSidecar("b-"+s.id, shortLease()...)
	release := s.rule(control.Rule{ID: "kept", Match: control.Match{Method: "CreateVolume"}, When: control.After, Hang: true, Count: 1})
	made := map[string]*corev1.PersistentVolumeClaim{}
	for n := range claims {
		made[claimName(n)] = s.claim(claimName(n), class)
	}
	s.reached("kept")
	s.must(first.Pause())
	s.holder("b-" + s.id)
	// The answer is there when the first one wakes up.
	release()
	for name, claim := range made {
		s.boundToOne(claim)
		// Half of the volumes are gone again: to make one of these, or to store its
		// PersistentVolume, would be a loss.
		if name < claimName(claims/2) {
			s.deleteClaim(name)
			s.nothingLeft(claim)
		}
	}
	before, wrote := s.allCalls(), len(p.Writes(leaders()))
	s.must(first.Resume())
	var exit *exec.ExitError
	if err := first.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the first leader has ended with %v, want exit code 1", err)
	}
	if !contains(first, "the lease is lost") {
		t.Error("the log does not say that the lease is lost")
	}
	if after := s.allCalls(); len(after) != len(before) {
		t.Errorf("after it woke up there were the calls %v", after[len(before):])
	}
	if after := p.Writes(leaders()); len(after) != wrote {
		t.Errorf("after it woke up it has written %+v", after[wrote:])
	}
	s.holder("b-" + s.id)
	s.onlyKnownVolumes()
}

// leaders matches the writes that only a leader may make.
func leaders() proxy.Match {
	return proxy.Match{Path: "/(persistentvolumes|persistentvolumeclaims|configmaps)"}
}

// allCalls are those that change something at the driver, in the order of arrival.
func (s *scene) allCalls() []control.Call {
	s.Helper()
	calls, err := s.driver.Control.Calls(s.ctx, control.Filter{})
	s.must(err)
	var changing []control.Call
	for _, call := range calls {
		if call.Method == "CreateVolume" || call.Method == "DeleteVolume" {
			changing = append(changing, call)
		}
	}
	return changing
}

// onlyKnownVolumes waits until the driver has the volumes of the PersistentVolumes,
// and no others.
func (s *scene) onlyKnownVolumes() {
	s.Helper()
	s.until("the driver's volumes are those of the PersistentVolumes", func() (bool, error) {
		list, err := shared.Client.CoreV1().PersistentVolumes().List(s.ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		known := map[string]bool{}
		for _, volume := range list.Items {
			if volume.Spec.CSI != nil && volume.Spec.CSI.Driver == s.driver.Name {
				known[volume.Spec.CSI.VolumeHandle] = true
			}
		}
		volumes := s.volumes()
		for _, volume := range volumes {
			if !known[volume.ID] {
				return false, nil
			}
		}
		return len(volumes) == len(known), nil
	})
}

// gap is how long nobody has called the driver after a leader's end.
func (s *scene) gap(ended time.Time, next *corev1.PersistentVolumeClaim) time.Duration {
	s.Helper()
	var began time.Time
	s.until("the driver is called for claim "+next.Name, func() (bool, error) {
		calls := s.callsFor(next, "CreateVolume")
		if len(calls) > 0 {
			began = calls[0].Started
		}
		return len(calls) > 0, nil
	})
	return began.Sub(ended)
}
