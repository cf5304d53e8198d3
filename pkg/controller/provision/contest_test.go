package provision

import (
	"context"
	"errors"
	"testing"
	"time"

	csipb "github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/csi-provisioner/csi-provisioner/pkg/controller"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/names"
	plan "github.com/csi-provisioner/csi-provisioner/pkg/plan/provision"
)

// capacity is what the driver answers when it is asked for its capacity.
type capacity struct {
	free  int64
	err   error
	asked int
	// meanwhile happens before the answer.
	meanwhile func()
}

func (c *capacity) GetCapacity(context.Context, *csipb.GetCapacityRequest, ...csi.Option) (*csipb.GetCapacityResponse, error) {
	c.asked++
	if c.meanwhile != nil {
		c.meanwhile()
	}
	return &csipb.GetCapacityResponse{AvailableCapacity: c.free}, c.err
}

// onNode is a world in node deployment, on node n1, where half of the base delay is
// always taken off. The claim binds immediately and has no node.
type onNode struct {
	*world
	capacity *capacity
	version  int
}

const base, longest = 20 * time.Second, 60 * time.Second

func newNode(t *testing.T) *onNode {
	t.Helper()
	w := &onNode{world: newWorld(t), capacity: &capacity{free: 5 * gib}}
	w.c.deps.Capacity = w.capacity
	w.c.config.Node = &plan.Node{Name: "n1", Competes: true}
	w.c.config.Driver.Capabilities.GetCapacity = true
	w.c.config.Contest = Contest{BaseDelay: base, MaxDelay: longest, Random: func() float64 { return 0.5 }}
	w.setClass(immediate)
	return w
}

func immediate(class *storagev1.StorageClass) {
	mode := storagev1.VolumeBindingImmediate
	class.VolumeBindingMode = &mode
}

// on gives the claim a node, as it comes from the API server; none if empty.
func (w *onNode) on(node string) {
	w.version++
	w.setClaim(func(claim *corev1.PersistentVolumeClaim) {
		claim.ResourceVersion = string(rune('a' + w.version))
		if node != "" {
			claim.Annotations[names.SelectedNode] = node
		}
	})
}

// waits looks at the claim, and expects that it is left alone for that long.
func (w *onNode) waits(d time.Duration) {
	w.t.Helper()
	w.waitsAt(w.works(), d)
}

func (w *onNode) waitsAt(got controller.Result, d time.Duration) {
	w.t.Helper()
	want := controller.Result{RequeueAfter: d, WaitFor: []controller.Dependency{controller.ClassChanged("fast")}}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("the result (-want +got):\n%s", diff)
	}
}

func (w *onNode) pass(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

// took compares the tries to take the claim, and fails if there are events.
func (w *onNode) took(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.selected); diff != "" {
		w.t.Errorf("nodes that were selected (-want +got):\n%s", diff)
	}
	w.said()
}

// nothingKept fails when a contest is remembered.
func (w *onNode) nothingKept() {
	w.t.Helper()
	for uid, r := range w.c.claims.records {
		if r.turn != nil {
			w.t.Errorf("the contest for %s is remembered", uid)
		}
	}
}

func changed() error {
	return apierrors.NewConflict(schema.GroupResource{Resource: "persistentvolumeclaims"}, "claim", errors.New("changed"))
}

func TestDelays(t *testing.T) {
	for _, test := range []struct {
		failures int
		random   float64
		want     time.Duration
	}{
		{0, 0, 20 * time.Second}, {0, 0.5, 10 * time.Second}, {0, 1 - 1e-12, 0},
		{1, 0, 40 * time.Second}, {1, 0.5, 30 * time.Second}, {1, 1 - 1e-12, 20 * time.Second},
		{2, 0, 60 * time.Second}, {2, 0.5, 50 * time.Second}, {1000, 0.5, 50 * time.Second},
	} {
		got := Contest{BaseDelay: base, MaxDelay: longest, Random: func() float64 { return test.random }}.delay(test.failures)
		if (got - test.want).Abs() > time.Microsecond {
			t.Errorf("after %d failures the delay is %s, want %s", test.failures, got, test.want)
		}
	}
}

// TestTakesAClaim: after its delay, which no change of the claim extends, and when
// the driver has room. The volume comes when the claim is this node's.
func TestTakesAClaim(t *testing.T) {
	w := newNode(t)
	w.waits(10 * time.Second)
	w.pass(4 * time.Second)
	w.waits(6 * time.Second)
	w.on("")
	w.waits(6 * time.Second)
	w.took()
	if w.capacity.asked > 0 {
		t.Error("the driver was asked before it mattered")
	}
	w.pass(6 * time.Second)
	w.waitsFor(w.works())
	w.took("n1 at b")
	w.nothingKept()
	w.calls()
	w.on("n1")
	w.works()
	w.calls("create gold")
	w.atDriver(1)
	if w.capacity.asked != 1 {
		t.Errorf("the driver was asked %d times", w.capacity.asked)
	}
}

// TestAnotherNodeIsFaster: the wait ends, and nothing is done or remembered.
func TestAnotherNodeIsFaster(t *testing.T) {
	w := newNode(t)
	w.waits(10 * time.Second)
	w.on("n2")
	w.waitsFor(w.works())
	w.nothingKept()
	w.pass(time.Hour)
	w.works()
	w.took()
	w.calls()

	// The other node gives it back.
	w.on("")
	w.waits(10 * time.Second)
	// It is taken just while this node's driver is asked.
	w.pass(10 * time.Second)
	w.capacity.meanwhile = func() { w.on("n2") }
	w.works()
	w.took()
	w.works()
	w.nothingKept()
}

// TestLosesTheRace: no error, no event; the next try comes later.
func TestLosesTheRace(t *testing.T) {
	w := newNode(t)
	w.selectErrs = []error{changed(), changed()}
	w.waits(10 * time.Second)
	w.pass(10 * time.Second)
	w.waits(30 * time.Second)
	w.pass(30 * time.Second)
	w.waits(50 * time.Second)
	w.took("n1 at 1", "n1 at 1")
	w.on("n2")
	w.works()
	w.nothingKept()
}

func TestNoRoom(t *testing.T) {
	w := newNode(t)
	w.capacity.free = gib - 1
	w.waits(10 * time.Second)
	for _, next := range []time.Duration{30 * time.Second, 50 * time.Second, 50 * time.Second} {
		w.pass(time.Minute)
		w.waits(next)
	}
	w.took()
	w.capacity.free = gib
	w.pass(time.Minute)
	w.works()
	w.took("n1 at 1")
}

// TestDriverThatDoesNotTell: the claim is taken; the driver will say what is wrong.
func TestDriverThatDoesNotTell(t *testing.T) {
	w := newNode(t)
	w.capacity.err = status.Error(codes.Unavailable, "away")
	w.waits(10 * time.Second)
	w.pass(time.Minute)
	w.works()
	w.took("n1 at 1")
}

// TestClaimGoesMeanwhile: before its turn, and while the driver is asked.
func TestClaimGoesMeanwhile(t *testing.T) {
	w := newNode(t)
	w.waits(10 * time.Second)
	w.deleteClaim()
	w.works()
	w.nothingKept()

	w.setClaim(nil)
	w.waits(10 * time.Second)
	w.pass(time.Minute)
	w.capacity.meanwhile = w.deleteClaim
	w.works()
	w.took()
	w.capacity.meanwhile = nil
	w.works()
	w.nothingKept()

	w.setClaim(nil)
	w.waits(10 * time.Second)
	w.pass(time.Minute)
	w.selectErrs = []error{apierrors.NewNotFound(schema.GroupResource{Resource: "persistentvolumeclaims"}, "claim")}
	w.works()
}

// TestSelectingFails: that is logged, and tried again later, not soon.
func TestSelectingFails(t *testing.T) {
	w := newNode(t)
	w.waits(10 * time.Second)
	w.pass(time.Minute)
	w.selectErrs = []error{errors.New("the API server is away")}
	result, err := w.reconcile()
	if err == nil || !controller.IsTerminal(err) {
		t.Errorf("the error is %v", err)
	}
	w.waitsAt(result, 30*time.Second)
	w.took("n1 at 1")
}

// TestClassOfNobody: a claim whose class is missing is nobody's to report.
func TestClassOfNobody(t *testing.T) {
	w := newNode(t)
	w.must(w.classes.Delete(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}}))
	w.waitsFor(w.works(), dependencies()...)
	w.took()
	w.on("n1")
	w.fails(`StorageClass "fast" does not exist`)
}

// TestExhaustedNode: the claim is given back, and the other nodes get the first
// chance.
func TestExhaustedNode(t *testing.T) {
	w := newNode(t)
	w.on("n1")
	w.driver.answers = []answer{failsWith(codes.ResourceExhausted)}
	w.works()
	if diff := cmp.Diff([]string{"n1"}, w.rescheduled); diff != "" {
		t.Errorf("nodes that were given up (-want +got):\n%s", diff)
	}
	w.on("")
	w.waits(30 * time.Second)
	w.idle()
}

// TestClaimMovesMeanwhile: a volume whose creation is under way here, while the claim
// has become another node's, is of no use here.
func TestClaimMovesMeanwhile(t *testing.T) {
	w := newNode(t)
	w.on("n1")
	w.driver.answers = []answer{makesAndFailsWith(codes.DeadlineExceeded)}
	w.fails("DeadlineExceeded")
	w.atDriver(1)
	w.on("n2")
	w.works()
	w.calls("create gold", "create gold", removing)
	w.atDriver(0)
	w.sameRequests()
	w.idle()
}
