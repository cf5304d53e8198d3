package sidecar

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/options"
	"k8s.io/utils/clock"
)

func TestLeaseNames(t *testing.T) {
	for name, test := range map[string]struct {
		controllers options.Controllers
		driver      string
		want        []string
	}{
		// Those of external-provisioner and external-resizer, letter by letter.
		"both":            {options.Controllers{Provisioner: true, Resizer: true}, "ebs.csi.aws.com", []string{"ebs-csi-aws-com", "external-resizer-ebs-csi-aws-com"}},
		"the provisioner": {options.Controllers{Provisioner: true}, "a_b.example/C", []string{"a-b-example-C"}},
		"the resizer":     {options.Controllers{Resizer: true}, "driver.", []string{"external-resizer-driver-X"}},
		"neither":         {options.Controllers{}, "driver.example", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := leaseNames(test.controllers, test.driver); !slices.Equal(got, test.want) {
				t.Errorf("leaseNames = %q, want %q", got, test.want)
			}
		})
	}
}

// The two leases of a nest, in the order in which they are taken, and the time
// after which another's that is not renewed is free.
const (
	outer, inner   = "outer", "inner"
	me             = "me"
	leaseFor       = 15 * time.Second
	retryEvery     = 5 * time.Second
	renewFor       = 10 * time.Second
	leaseNamespace = "ns"

	// A candidate adds up to JitterFactor to the time between two tries.
	mostBetweenTries = time.Duration((1 + leaderelection.JitterFactor) * float64(retryEvery))
)

// nest is a process that needs two leases, in a bubble of synctest.
type nest struct {
	*process
	t      *testing.T
	client *fake.Clientset
	stop   context.CancelFunc // tells it to stop
	// ended gets what the work with both leases has come to.
	ended chan error
	// finish has the work return an error, or nil, by itself.
	finish chan error

	mu       sync.Mutex
	journal  []string
	broken   string // the lease that the API server does not write any more
	watchers []watch.Interface
}

// nested runs a test of a process that takes both leases.
func nested(t *testing.T, prepare, test func(n *nest)) {
	t.Helper()
	t.Setenv("POD_NAME", me)
	synctest.Test(t, func(t *testing.T) {
		background, cancel := context.WithCancel(klog.NewContext(context.Background(), logr.Discard()))
		n := &nest{t: t, client: fake.NewClientset(), ended: make(chan error, 1), finish: make(chan error)}
		n.process = &process{
			config: options.Config{LeaderElection: options.LeaderElection{
				Enabled: true, Namespace: leaseNamespace, LeaseDuration: leaseFor, RenewDeadline: renewFor, RetryPeriod: retryEvery,
			}},
			metrics: metrics.New(), health: newHealth(), fence: newFence(clock.RealClock{}),
			clients: &kube.Clients{Core: n.client, Leases: n.client},
			events:  kube.NewEvents(background, fake.NewClientset(), "test"),
		}
		n.client.PrependReactor("*", "leases", n.write)
		n.client.PrependWatchReactor("leases", n.watch)
		prepare(n)
		n.run(background)
		test(n)
		cancel()
		synctest.Wait()
		n.events.Shutdown()
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, watcher := range n.watchers {
			watcher.Stop()
		}
	})
}

func (n *nest) run(background context.Context) {
	todo, err := n.elected([]string{outer, inner}, n.toil)
	if err != nil {
		n.t.Fatal(err)
	}
	var stop context.Context
	stop, n.stop = context.WithCancel(background)
	go func() { n.ended <- todo(background, stop) }()
}

// toil is the work: it lasts until it is told to stop, is cancelled, or finishes.
func (n *nest) toil(ctx, stop context.Context) error {
	n.note("work begins")
	defer n.note("work ends")
	select {
	case <-ctx.Done():
		return nil
	case <-stop.Done():
		return nil
	case err := <-n.finish:
		return err
	}
}

func (n *nest) note(entry string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.journal = append(n.journal, entry)
}

// expect checks what has happened in all.
func (n *nest) expect(want ...string) {
	n.t.Helper()
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Equal(n.journal, want) {
		n.t.Errorf("what has happened is\n\t%s\nwant\n\t%s", strings.Join(n.journal, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// write notes who takes and gives back leases, and refuses to write the broken
// one.
func (n *nest) write(action clienttesting.Action) (bool, runtime.Object, error) {
	writing, ok := action.(clienttesting.CreateAction) // Updates are such, too.
	if !ok {
		return false, nil, nil
	}
	lease := writing.GetObject().(*coordinationv1.Lease)
	n.mu.Lock()
	defer n.mu.Unlock()
	if lease.Name == n.broken {
		return true, nil, errors.New("the API server is away")
	}
	entry := "takes " + lease.Name
	if isFree(lease) {
		entry = "releases " + lease.Name
	}
	// A lease that is renewed is not taken again.
	if !slices.Contains(n.journal, entry) {
		n.journal = append(n.journal, entry)
	}
	return false, nil, nil
}

// watch heeds the field selector, as the API server does.
func (n *nest) watch(action clienttesting.Action) (bool, watch.Interface, error) {
	watcher, err := n.client.Tracker().Watch(action.GetResource(), action.GetNamespace())
	if err != nil {
		return true, nil, err
	}
	name, _ := action.(clienttesting.WatchAction).GetWatchRestrictions().Fields.RequiresExactMatch("metadata.name")
	filtered := watch.Filter(watcher, func(event watch.Event) (watch.Event, bool) {
		lease, ok := event.Object.(*coordinationv1.Lease)
		return event, ok && lease.Name == name
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watchers = append(n.watchers, filtered)
	return true, filtered, nil
}

// hold has another process hold the lease, or with an empty name, give it back.
func (n *nest) hold(lease, holder string) {
	n.t.Helper()
	now, seconds := metav1.NowMicro(), int32(leaseFor.Seconds())
	object := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: leaseNamespace, Name: lease},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, AcquireTime: &now, RenewTime: &now, LeaseDurationSeconds: &seconds},
	}
	resource := coordinationv1.SchemeGroupVersion.WithResource("leases")
	err := n.client.Tracker().Update(resource, object, leaseNamespace)
	if apierrors.IsNotFound(err) {
		err = n.client.Tracker().Add(object)
	}
	if err != nil {
		n.t.Fatalf("%s: %v", lease, err)
	}
}

// renew holds the lease of another process for that long.
func (n *nest) renew(lease, holder string, d time.Duration) {
	for ; d > 0; d -= retryEvery {
		n.hold(lease, holder)
		time.Sleep(retryEvery)
	}
}

func (n *nest) breaks(lease string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.broken = lease
}

// leading checks what the metric says of both leases.
func (n *nest) leading(want ...string) {
	n.t.Helper()
	synctest.Wait()
	recorder := httptest.NewRecorder()
	n.metrics.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
	var got []string
	for line := range strings.Lines(recorder.Body.String()) {
		if status, ok := strings.CutPrefix(line, "leader_election_master_status"); ok {
			got = append(got, strings.TrimSpace(status))
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		n.t.Errorf("leader_election_master_status is %q, want %q", got, want)
	}
}

func nothing(*nest) {}

func TestNestedTakesBothAndGivesThemBack(t *testing.T) {
	nested(t, nothing, func(n *nest) {
		n.expect("takes outer", "takes inner", "work begins")
		n.leading(`{name="inner"} 1`, `{name="outer"} 1`)
		if err := n.health.renewing(); err != nil {
			t.Errorf("renewing: %v", err)
		}
		time.Sleep(10 * leaseFor)
		n.expect("takes outer", "takes inner", "work begins")
		n.stop()
		if err := <-n.ended; err != nil {
			t.Errorf("the work has ended with %v", err)
		}
		n.expect("takes outer", "takes inner", "work begins", "work ends", "releases inner", "releases outer")
		n.leading(`{name="inner"} 0`, `{name="outer"} 0`)
	})
}

func TestNestedGivesBothBackWhenTheWorkEnds(t *testing.T) {
	nested(t, nothing, func(n *nest) {
		broken := errors.New("another driver has connected")
		n.finish <- broken
		if err := <-n.ended; !errors.Is(err, broken) || errors.Is(err, errLost) {
			t.Errorf("the work has ended with %v", err)
		}
		n.expect("takes outer", "takes inner", "work begins", "work ends", "releases inner", "releases outer")
	})
}

// A peer that works under the inner lease only keeps this process waiting.
func TestNestedWaitsForTheInner(t *testing.T) {
	nested(t, func(n *nest) { n.hold(inner, "peer") }, func(n *nest) {
		n.renew(inner, "peer", 3*leaseFor)
		n.expect("takes outer")
		n.leading(`{name="inner"} 0`, `{name="outer"} 1`)
		released := time.Now()
		n.hold(inner, "")
		n.expect("takes outer", "takes inner", "work begins")
		if waited := time.Since(released); waited != 0 {
			t.Errorf("the work began %s after the lease was given back", waited)
		}
		n.stop()
		<-n.ended
	})
}

func TestNestedWaitsForTheOuter(t *testing.T) {
	nested(t, func(n *nest) { n.hold(outer, "peer") }, func(n *nest) {
		n.renew(outer, "peer", 3*leaseFor)
		// It must not keep others from the inner meanwhile.
		n.expect()
		n.hold(outer, "")
		n.expect("takes outer", "takes inner", "work begins")
		n.stop()
		<-n.ended
	})
}

// A peer that was killed gives nothing back.
func TestNestedTakesWhatIsNotRenewed(t *testing.T) {
	nested(t, func(n *nest) { n.hold(inner, "peer") }, func(n *nest) {
		n.expect("takes outer")
		time.Sleep(leaseFor + mostBetweenTries)
		n.expect("takes outer", "takes inner", "work begins")
		n.stop()
		<-n.ended
	})
}

func TestNestedStopsWhileItWaits(t *testing.T) {
	nested(t, func(n *nest) { n.hold(inner, "peer") }, func(n *nest) {
		n.renew(inner, "peer", leaseFor)
		n.stop()
		if err := <-n.ended; err != nil {
			t.Errorf("it has ended with %v", err)
		}
		n.expect("takes outer", "releases outer")
	})
}

// Whichever lease is lost, the work is cancelled, and it is an error.
func TestNestedLoses(t *testing.T) {
	for lost, want := range map[string][]string{
		outer: {"takes outer", "takes inner", "work begins", "work ends", "releases inner"},
		inner: {"takes outer", "takes inner", "work begins", "work ends", "releases outer"},
	} {
		t.Run(lost, func(t *testing.T) {
			nested(t, nothing, func(n *nest) {
				n.expect("takes outer", "takes inner", "work begins")
				n.breaks(lost)
				begun := time.Now()
				if err := <-n.ended; !errors.Is(err, errLost) {
					t.Errorf("the work has ended with %v, want %v", err, errLost)
				}
				if took := time.Since(begun); took >= leaseFor+renewFor {
					t.Errorf("the loss was noticed after %s", took)
				}
				synctest.Wait()
				slices.Sort(n.journal) // Which of them is first is not certain.
				slices.Sort(want)
				n.expect(want...)
			})
		})
	}
}

// It is lost while the inner is waited for: nobody may begin to work then.
func TestNestedLosesTheOuterWhileItWaits(t *testing.T) {
	nested(t, func(n *nest) { n.hold(inner, "peer") }, func(n *nest) {
		n.renew(inner, "peer", retryEvery)
		n.breaks(outer)
		n.renew(inner, "peer", leaseFor+renewFor)
		if err := <-n.ended; !errors.Is(err, errLost) {
			t.Errorf("it has ended with %v, want %v", err, errLost)
		}
		n.hold(inner, "")
		time.Sleep(leaseFor)
		n.expect("takes outer")
	})
}
