package sidecar

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/options"
	"k8s.io/utils/clock"
)

// The times of an election, which are the defaults.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 5 * time.Second
	// drain is how long the work of a test takes to end.
	drain = time.Second
)

// office knows who is at work, and when that changes.
type office struct {
	t       *testing.T
	mu      sync.Mutex
	at      string
	changed time.Time
	// entered and left are told of each change.
	entered, left chan string
}

func newOffice(t *testing.T) *office {
	return &office{t: t, entered: make(chan string, 10), left: make(chan string, 10)}
}

func (o *office) enter(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.at != "" {
		o.t.Errorf("%s begins to work while %s is at work", name, o.at)
	}
	o.at, o.changed = name, time.Now()
	o.entered <- name
}

func (o *office) leave(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.at == name {
		o.at = ""
	}
	o.changed = time.Now()
	o.left <- name
}

// candidate is a process that stands for the lease.
type candidate struct {
	*connection
	election *election
	ctx      context.Context
	stop     context.CancelFunc
	returned chan error
}

// stand starts a candidate; all end with the test. Its work ends with stop or
// ctx, after a second, with the error result.
func stand(t *testing.T, r *registry, o *office, name string, result error, change func(*candidate)) *candidate {
	t.Helper()
	c := &candidate{connection: &connection{registry: r}, returned: make(chan error, 1)}
	p := &process{
		config: options.Config{LeaderElection: options.LeaderElection{
			Enabled: true, LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		}},
		health:  newHealth(),
		fence:   newFence(clock.RealClock{}),
		metrics: metrics.New(),
	}
	c.election = &election{
		process: p, name: "lease", watches: c.connection,
		lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: "ns", Name: "lease"},
			Client:     c.connection,
			LockConfig: resourcelock.ResourceLockConfig{Identity: name},
		},
		work: func(ctx, stop context.Context) error {
			o.enter(name)
			defer o.leave(name)
			select {
			case <-stop.Done():
				time.Sleep(drain)
				if holder := r.holder(); holder != name {
					t.Errorf("while %s finishes its work, the lease is held by %q", name, holder)
				}
			case <-ctx.Done():
			}
			return result
		},
	}
	if change != nil {
		change(c)
	}
	logger := ktesting.NewLogger(ktesting.NopTL{}, ktesting.NewConfig())
	background, cancel := context.WithCancel(klog.NewContext(t.Context(), logger))
	t.Cleanup(cancel)
	c.ctx, c.stop = context.WithCancel(background)
	go func() { c.returned <- c.election.run(background, c.ctx) }()
	return c
}

// leading is what the metric says.
func (c *candidate) leading() string {
	recorder := httptest.NewRecorder()
	c.election.process.metrics.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
	for line := range strings.Lines(recorder.Body.String()) {
		if value, ok := strings.CutPrefix(line, `leader_election_master_status{name="lease"} `); ok {
			return strings.TrimSpace(value)
		}
	}
	return "none"
}

func TestLeaseIsHandedOverAtOnce(t *testing.T) {
	// At any point of the retry period of the one that waits.
	for seconds := range 5 {
		t.Run(fmt.Sprintf("%ds", seconds), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, o := &registry{}, newOffice(t)
				first := stand(t, r, o, "first", nil, nil)
				<-o.entered
				second := stand(t, r, o, "second", nil, nil)
				time.Sleep(3*retryPeriod + time.Duration(seconds)*time.Second)
				told := time.Now()
				first.stop()
				<-o.left
				if next := <-o.entered; next != "second" {
					t.Fatalf("%s is at work next", next)
				}
				if waited := time.Since(told) - drain; waited > 100*time.Millisecond {
					t.Errorf("nobody is at work for %s", waited)
				}
				if err := <-first.returned; err != nil {
					t.Errorf("the one that was told to stop returns %v", err)
				}
				if was, is := first.leading(), second.leading(); was != "0" || is != "1" {
					t.Errorf("the metric is %s for the one that was leading, and %s for the other", was, is)
				}
				second.stop()
				if err := <-second.returned; err != nil {
					t.Error(err)
				}
				if holder := r.holder(); holder != "" {
					t.Errorf("in the end the lease is held by %q", holder)
				}
			})
		})
	}
}

// A leader watches its lease no longer: at rest it sends nothing but renewals.
func TestLeaderDoesNotWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := &registry{}, newOffice(t)
		first := stand(t, r, o, "first", nil, nil)
		<-o.entered
		time.Sleep(time.Minute)
		watches := func() (open, all int) {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, watcher := range r.watchers {
				if !watcher.IsStopped() {
					open++
				}
			}
			return open, len(r.watchers)
		}
		if open, all := watches(); open != 0 || all > 1 {
			t.Errorf("the leader has begun %d watches, and %d are open", all, open)
		}
		second := stand(t, r, o, "second", nil, nil)
		time.Sleep(time.Minute)
		if open, _ := watches(); open != 1 {
			t.Errorf("with a standby %d watches are open, want 1", open)
		}
		first.stop()
		second.stop()
		<-first.returned
		<-second.returned
	})
}

// Without the right to watch the lease, taking over takes longer, but not ever.
func TestLeaseIsTakenOverWithoutAWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := &registry{}, newOffice(t)
		first := stand(t, r, o, "first", nil, nil)
		<-o.entered
		second := stand(t, r, o, "second", nil, func(c *candidate) { c.blind = true })
		time.Sleep(time.Minute)
		first.stop()
		<-o.left
		free := time.Now()
		<-o.entered
		// Electors add up to 1.2 times of it as jitter.
		if waited := time.Since(free); waited > 5*retryPeriod/2 {
			t.Errorf("nobody is at work for %s", waited)
		}
		second.stop()
		<-second.returned
	})
}

func TestStopBeforeLeading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := &registry{}, newOffice(t)
		first := stand(t, r, o, "first", nil, nil)
		<-o.entered
		second := stand(t, r, o, "second", nil, nil)
		time.Sleep(time.Minute + time.Second)
		told := time.Now()
		second.stop()
		if err := <-second.returned; err != nil {
			t.Errorf("the one that has waited returns %v", err)
		}
		if waited := time.Since(told); waited > 0 {
			t.Errorf("it takes %s to stop", waited)
		}
		if holder := r.holder(); holder != "first" {
			t.Errorf("the lease is held by %q", holder)
		}
		first.stop()
		<-first.returned
		// One that is told to stop before it begins does not.
		third := stand(t, r, o, "third", nil, func(c *candidate) {})
		third.stop()
		<-third.returned
	})
}

func TestWorkThatFailsGivesTheLeaseBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := &registry{}, newOffice(t)
		broken := errors.New("another driver has connected")
		c := stand(t, r, o, "first", nil, func(c *candidate) {
			c.election.work = func(context.Context, context.Context) error { return broken }
		})
		if err := <-c.returned; !errors.Is(err, broken) || errors.Is(err, errLost) {
			t.Errorf("the election returns %v, want %v", err, broken)
		}
		if holder := r.holder(); holder != "" {
			t.Errorf("the lease is held by %q", holder)
		}
	})
}

// A process that can't reach the API server must have ended its work before
// another one may begin.
func TestLostLease(t *testing.T) {
	for range 20 { // The elector's pauses are random.
		synctest.Test(t, loseLease)
	}
}

func loseLease(t *testing.T) {
	r, o := &registry{}, newOffice(t)
	result := errors.New("the work was cut off")
	first := stand(t, r, o, "first", result, nil)
	<-o.entered
	second := stand(t, r, o, "second", nil, nil)
	time.Sleep(time.Minute)
	first.disconnect()
	if left := <-o.left; left != "first" {
		t.Fatalf("%s has left", left)
	}
	if next := <-o.entered; next != "second" {
		t.Fatalf("%s is at work next", next)
	}
	if err := <-first.returned; !errors.Is(err, errLost) || !errors.Is(err, result) {
		t.Errorf("the election returns %v, want that the lease is lost, and %v", err, result)
	}
	second.stop()
	<-second.returned
}

func TestElectionThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := stand(t, &registry{}, newOffice(t), "first", nil, func(c *candidate) {
			c.election.process.config.LeaderElection.LeaseDuration = 0
		})
		if err := <-c.returned; err == nil || !strings.Contains(err.Error(), "preparing leader election") {
			t.Errorf("the election returns %v", err)
		}
	})
}
