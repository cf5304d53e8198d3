package sidecar

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"time"

	"google.golang.org/grpc"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

// fence keeps a process whose lease has run out from acting. That the work is
// cancelled then does not suffice: a process that was paused, together with its
// timers, wakes up in the middle of its work, while another one is at work. So the
// clock is looked at before each call that changes something.
type fence struct {
	clock clock.PassiveClock

	mu   sync.Mutex
	ends map[string]time.Time // of the terms, by the leases' names
	// free are the paths of what may be written without a lease: the lease itself,
	// what is asked rather than written, and events.
	free *regexp.Regexp
}

func newFence(clock clock.PassiveClock) *fence {
	return &fence{
		clock: clock,
		ends:  map[string]time.Time{},
		free:  regexp.MustCompile(`/apis/(coordination|authorization|events)\.k8s\.io/|/namespaces/[^/]+/events(/[^/]+)?$`),
	}
}

// extend notes until when this process may act by a lease.
func (f *fence) extend(lease string, until time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ends[lease] = until
}

// check returns an error when a lease has run out. A process that has taken none
// is not fenced. The clock on the wall counts, too: the other one stands still
// while a virtual machine is suspended.
func (f *fence) check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.clock.Now()
	for lease, end := range f.ends {
		if now.After(end) || now.Round(0).After(end.Round(0)) {
			return fmt.Errorf("%w: lease %q has run out", csi.ErrStopping, lease)
		}
	}
	return nil
}

// driver puts the fence before the calls to the driver.
func (f *fence) driver(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if err := f.check(); err != nil {
		return err
	}
	return invoke(ctx, method, request, response, conn, options...)
}

// api puts the fence before the writes to the API server.
func (f *fence) api(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		if request.Method != http.MethodGet && !f.free.MatchString(request.URL.Path) {
			if err := f.check(); err != nil {
				return nil, err
			}
		}
		return next.RoundTrip(request)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }
