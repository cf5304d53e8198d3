package expand_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/csi-provisioner/csi-provisioner/pkg/plan/capability"
	"github.com/csi-provisioner/csi-provisioner/pkg/plan/expand"
)

// machine is a world with a driver, whose steps are chosen by bytes. It knows
// the truth, which the planner can only read from the objects.
type machine struct {
	*world
	steps []byte
	// device is the size of the volume at the driver, in GiB.
	device int64
	// limit is the size from which on the driver calls an expansion infeasible.
	limit int64
	// roundUp is what sizes are a multiple of.
	roundUp int64
	// open is the size of the last call, while its outcome is open; else 0.
	open int64
	// gaveUp tells that the kubelet has found the volume's size infeasible.
	gaveUp bool
}

const gib = 1 << 30

func gibs(n int64) resource.Quantity { return *resource.NewQuantity(n*gib, resource.BinarySI) }

func newMachine(t testing.TB, steps []byte) *machine {
	m := &machine{world: newWorld(t), steps: steps, device: 4, limit: 14, roundUp: 1}
	for _, letter := range []string{"P", "S", "C"} {
		m.set(letter, "4Gi")
	}
	choice := m.next()
	if choice&1 != 0 {
		m.caps = capability.Set{NodeExpand: true}
	}
	if choice&2 != 0 {
		m.roundUp = 3
	}
	if choice&4 != 0 {
		m.volume.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
	}
	return m
}

// next takes a step's byte; 0 when there is none left.
func (m *machine) next() byte {
	if len(m.steps) == 0 {
		return 0
	}
	b := m.steps[0]
	m.steps = m.steps[1:]
	return b
}

func (m *machine) nodeOnly() bool { return !m.caps.ControllerExpand }

func (m *machine) bytes(letter string) int64 {
	size := m.size(letter)
	return size.Value()
}

// run lets everybody act until there are no steps left.
func (m *machine) run() {
	m.t.Helper()
	for len(m.steps) > 0 {
		before := m.size("P")
		step := m.next()
		switch step % 8 {
		case 0, 1:
			m.request(gibs(int64(step / 8 % 20)))
		case 2, 3, 4, 5:
			m.controller(m.next())
		case 6:
			m.node(step / 8)
		case 7:
			m.now = m.now.Add(60e9)
			m.rested = step&8 != 0
		}
		m.check(before)
	}
}

// controller is one turn of it, which may die at any point.
func (m *machine) controller(choice byte) {
	m.t.Helper()
	m.plan = nil
	before := m.claim
	decision := m.decide()
	if choice%16 == 15 {
		return
	}
	if got := m.begin(); got.Verdict != expand.Act {
		return
	}
	m.checkBegun(before, decision)
	if choice%16 == 14 {
		return
	}
	outcome := choice / 16
	lost := []string{"", "", "", "", "claim", "both"}[choice%6]
	if m.plan.Request == nil {
		m.conclude(expand.Answer{}, lost)
		return
	}
	asked := m.plan.Request.GetCapacityRange().GetRequiredBytes() / gib
	if m.open != 0 && m.open != asked {
		m.t.Fatalf("%d GiB are asked for while the outcome of %d is open", asked, m.open)
	}
	m.call(asked, outcome, lost)
}

// checkBegun checks that what was written before the call says all that the next
// decision must know, and is written once.
func (m *machine) checkBegun(before *corev1.PersistentVolumeClaim, decision expand.Decision) {
	m.t.Helper()
	again := m.decide()
	if again.Verdict != expand.Act || again.Plan.Begins || again.Warning != "" {
		m.t.Fatalf("after the attempt at %s has begun: %+v", m.plan.Target.String(), again)
	}
	if again.Plan.Target.Cmp(m.plan.Target) != 0 || decision.Plan.Target.Cmp(m.plan.Target) != 0 {
		m.t.Fatalf("aims at %s after %s", again.Plan.Target.String(), m.plan.Target.String())
	}
	if !equality.Semantic.DeepEqual(m.claim, again.Plan.Claim) {
		m.t.Fatalf("the attempt is written twice (-want +got):\n%s\nfirst:\n%s", cmp.Diff(m.claim, again.Plan.Claim), cmp.Diff(before, m.claim))
	}
}

// call is the driver's.
func (m *machine) call(asked int64, outcome byte, lost string) {
	m.t.Helper()
	m.open = asked
	switch outcome {
	case 0, 1: // The outcome stays open; it may have been done.
		if outcome == 1 && asked <= m.limit {
			m.expand(asked)
		}
		m.fail(expand.Pending, errors.New("timeout"))
		return
	case 2, 3:
		m.open = 0
		m.rested = false
		m.fail(expand.Final, errors.New("no"))
		m.checkFree()
		return
	}
	if m.open = 0; asked > max(m.limit, m.device) {
		m.rested = false
		m.fail(expand.Infeasible, errors.New("too big"))
		m.checkFree()
		return
	}
	m.expand(asked)
	answer := expand.Answer{NodeExpansionRequired: outcome%2 == 0, CapacityBytes: m.device * gib}
	switch outcome {
	case 5: // It does not say, which it may do when there is no more than was asked for.
		if m.device == asked {
			answer.CapacityBytes = 0
		}
	case 6: // It says what was asked for, whatever there is.
		answer.CapacityBytes = asked * gib
	case 7: // It is wrong.
		answer.CapacityBytes = (asked - 1) * gib
	}
	if conclusion := m.conclude(answer, lost); (conclusion.Err != nil) != (outcome == 7) {
		m.t.Fatalf("the answer of %d bytes for %d GiB: %v", answer.CapacityBytes, asked, conclusion.Err)
	}
}

// checkFree checks that a call that is over and has failed binds nobody: what the
// claim asks for next counts, at once, and also after a restart.
func (m *machine) checkFree() {
	m.t.Helper()
	next := *m
	next.world = &world{}
	*next.world = *m.world
	size := gibs(max(m.bytes("C"), m.bytes("P"))/gib + 1)
	if size.Cmp(m.size("A")) == 0 || !next.request(size) {
		return
	}
	if got := next.decide(); got.Verdict != expand.Act || got.Plan.Target.Cmp(size) != 0 {
		m.t.Fatalf("after a final failure, %s is asked for: %+v", size.String(), got)
	}
}

func (m *machine) expand(asked int64) {
	m.device = max(m.device, (asked+m.roundUp-1)/m.roundUp*m.roundUp)
}

func (m *machine) node(choice byte) {
	if !m.kubeletStarts() {
		return
	}
	switch choice % 4 {
	case 0, 1:
		m.kubeletEnds()
		m.gaveUp = false
	case 2:
		m.kubeletGivesUp()
		m.gaveUp = true
	}
}

// check checks what must hold whatever has happened.
func (m *machine) check(before resource.Quantity) {
	m.t.Helper()
	volume, requested, capacity, allocated := m.bytes("P"), m.bytes("S"), m.bytes("C"), m.bytes("A")
	if volume < before.Value() && !(m.nodeOnly() && m.gaveUp) {
		m.t.Fatalf("the volume was lowered from %s to %d bytes", before.String(), volume)
	}
	if capacity > volume {
		m.t.Fatalf("the claim has %d bytes of a volume of %d", capacity, volume)
	}
	if !m.nodeOnly() && volume > m.device*gib {
		m.t.Fatalf("the volume of %d GiB is said to have %d bytes", m.device, volume)
	}
	status := m.status()
	settled := status != corev1.PersistentVolumeClaimControllerResizeInProgress && status != corev1.PersistentVolumeClaimControllerResizeInfeasible
	if settled && max(requested, allocated) < volume {
		m.t.Fatalf("the quota counts %d bytes of %d", max(requested, allocated), volume)
	}
}

// settle lets everything succeed from now on that is not infeasible; it must not
// take long until the claim has what it asks for.
func (m *machine) settle() {
	m.t.Helper()
	for round := range 8 {
		if m.bytes("C") >= m.bytes("S") {
			break
		}
		m.rested = true
		before := m.size("P")
		m.controller([]byte{4 * 16, 5 * 16}[round%2])
		m.node(0)
		m.check(before)
	}
	// The annotation, if there is one.
	m.controller(0)
	if got := m.decide(); got.Verdict != expand.Skip || m.bytes("C") < m.bytes("S") || m.status() != "" || m.volume.Annotations[preResize] != "" {
		m.t.Fatalf("it does not end: %v", m.facts())
	}
	if facts := m.facts()[5]; facts != "cond=" {
		m.t.Fatalf("it ends with the conditions %s", facts)
	}
}

func drive(t testing.TB, steps []byte) {
	m := newMachine(t, steps)
	m.run()
	// Where the claim asks for too much, the user takes it back.
	if m.bytes("S") > m.limit*gib && !m.nodeOnly() {
		m.request(gibs(max(m.limit, m.bytes("C")/gib+1)))
	}
	m.limit = max(m.limit, m.bytes("S")/gib)
	m.settle()
}

// TestMachine lets users, driver, controller and kubelet do what they like.
func TestMachine(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 600 {
		steps := make([]byte, 1+random.IntN(80))
		for i := range steps {
			steps[i] = byte(random.IntN(256))
		}
		drive(t, steps)
	}
}

func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 48, 2, 64, 6})
	f.Add([]byte{1, 152, 2, 64, 22, 64, 2, 64, 6})
	f.Add([]byte{2, 80, 2, 32, 48, 2, 64, 6, 152, 2, 0, 40, 2, 64})
	f.Fuzz(func(t *testing.T, steps []byte) {
		if len(steps) < 1000 {
			drive(t, steps)
		}
	})
}
