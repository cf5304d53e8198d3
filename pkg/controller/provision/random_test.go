package provision

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// story is a world in which anything may happen to a claim. What the state machine makes
// of it is for the protocol checker (test/protocol) to prove; here it is the controller
// that must carry out each of its steps.
type story struct {
	*world
	random *rand.Rand
	steps  []string
}

func (s *story) chance(percent int) bool { return s.random.IntN(100) < percent }

// happen lets one thing happen.
func (s *story) happen() {
	what := s.random.IntN(20)
	s.steps = append(s.steps, fmt.Sprint(what))
	switch what {
	case 0:
		s.fixClass([]string{"gold", "silver", "bronze"}[s.random.IntN(3)])
	case 1:
		s.must(s.classes.Delete(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}}))
	case 2:
		s.deleteClaim()
	case 3:
		s.setClaim(nil)
	case 4:
		s.setClaim(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "another" })
	case 5:
		s.crash()
	case 6:
		for _, volume := range s.store.volumes {
			s.must(s.volumes.Update(volume))
		}
	case 7:
		s.vault.err = []error{nil, missing(), unreadable()}[s.random.IntN(3)]
	default:
		s.trouble()
		s.look()
	}
}

// trouble has the next requests fail in some of the ways in which they can.
func (s *story) trouble() {
	w := s.world
	w.driver.answers, w.driver.deletions, w.store.errs, w.store.getErrs, w.journal.errs, w.journal.settleErrs = nil, nil, nil, nil, nil, nil
	failed := errors.New("no leader")
	if s.chance(60) {
		code := codes.Code(1 + s.random.IntN(16))
		w.driver.answers = []answer{{err: status.Error(code, "no")}}
		switch code {
		case codes.Canceled, codes.DeadlineExceeded, codes.Unavailable, codes.Aborted, codes.Unknown, codes.Internal, codes.DataLoss:
			w.driver.answers[0].made = s.chance(50)
		case codes.InvalidArgument, codes.OutOfRange, codes.Unimplemented, codes.AlreadyExists:
			// By the CSI specification, not for a request that has made the volume.
			if len(w.driver.volumes) > 0 {
				w.driver.answers = nil
			}
		}
	}
	if s.chance(20) {
		w.driver.deletions = []error{status.Error(codes.Internal, "busy")}
	}
	if s.chance(20) {
		w.store.errs = []error{[]error{failed, refused()}[s.random.IntN(2)]}
	}
	if s.chance(10) {
		w.store.getErrs = []error{failed}
	}
	if s.chance(10) {
		w.journal.errs = []error{failed}
	}
	if s.chance(10) {
		w.journal.settleErrs = []error{failed}
	}
}

// look reconciles the claim. A volume whose PersistentVolume is stored must not be
// deleted.
func (s *story) look() error {
	stored, calls := len(s.store.volumes) > 0, len(s.driver.calls)
	_, err := s.reconcile()
	made := s.driver.calls[calls:]
	s.steps = append(s.steps, fmt.Sprintf("%q %s %v", made, s.state().Phase, err))
	for _, call := range made {
		if stored && strings.HasPrefix(call, "delete") {
			s.t.Error("a volume is deleted that has a PersistentVolume")
		}
	}
	return err
}

// settle reconciles the claim in a world in which nothing fails, until there is nothing
// more to do.
func (s *story) settle() {
	s.heal()
	s.fixClass("gold")
	s.vault.err = nil
	for range 10 {
		if s.look() == nil {
			return
		}
	}
	s.t.Error("the claim still fails")
}

func (s *story) heal() {
	s.random = rand.New(rand.NewPCG(0, 0))
	w := s.world
	w.driver.answers, w.driver.deletions, w.store.errs, w.store.getErrs, w.journal.errs, w.journal.settleErrs = nil, nil, nil, nil, nil, nil
}

// Whatever happens, in the end the driver has the volume of the PersistentVolume, and no
// other.
func TestAnythingMayHappen(t *testing.T) {
	stored, removed := 0, 0
	for seed := range uint64(500) {
		s := &story{world: newWorld(t), random: rand.New(rand.NewPCG(seed, 0))}
		for range 60 {
			s.happen()
		}
		s.settle()
		s.deleteClaim()
		s.settle()
		s.atDriver(len(s.store.volumes))
		s.settled()
		for _, call := range s.driver.calls {
			if strings.HasPrefix(call, "delete") {
				removed++
			}
		}
		stored += len(s.store.volumes)
		if t.Failed() {
			t.Fatalf("this is the story of seed %d:\n%s", seed, strings.Join(s.steps, "\n"))
		}
	}
	t.Logf("%d volumes stored, %d removed", stored, removed)
	if stored < 50 || removed < 50 {
		t.Errorf("%d volumes stored, %d removed: there is not enough of each", stored, removed)
	}
}
