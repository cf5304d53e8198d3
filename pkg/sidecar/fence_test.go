package sidecar

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

// TestFence: from the end of a term on, and until it is extended, nothing is let
// through, although nobody has cancelled anything.
func TestFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFence(clock.RealClock{})
		if err := f.check(); err != nil {
			t.Errorf("without a lease: %v", err)
		}
		outer := hold(&written{}, time.Minute, func(end time.Time) { f.extend("outer", end) }, func() {})
		inner := hold(&written{}, time.Minute, func(end time.Time) { f.extend("inner", end) }, func() {})
		renew := func(h *held, holder string) {
			if err := h.Update(t.Context(), resourcelock.LeaderElectionRecord{HolderIdentity: holder}); err != nil {
				t.Fatal(err)
			}
		}
		step := func(when, want string) {
			t.Helper()
			err := f.check()
			if want == "" && err != nil || want != "" && (!errors.Is(err, csi.ErrStopping) || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %v, want %q", when, err, want)
			}
		}
		renew(outer, "me")
		renew(inner, "me")
		time.Sleep(time.Minute)
		step("in the term", "")
		renew(inner, "me")
		time.Sleep(time.Nanosecond)
		step("one lease has run out", `"outer"`)
		renew(outer, "me")
		step("it is renewed", "")
		renew(inner, "")
		time.Sleep(time.Nanosecond)
		step("one is given back", `"inner"`)
	})
}

// TestFenceOnTheWall: a virtual machine that was suspended wakes up with a clock
// that stood still, and another one on the wall that is set.
func TestFenceOnTheWall(t *testing.T) {
	f := newFence(clock.RealClock{})
	now := time.Now()
	// An hour in the future for the one, an hour ago for the other.
	f.extend("lease", now.Add(time.Hour))
	if err := f.check(); err != nil {
		t.Fatal(err)
	}
	f.extend("lease", now.Add(-time.Hour).Round(0))
	if err := f.check(); err == nil {
		t.Error("the lease has run out, and nobody has noticed")
	}
}

// passing notes the calls and requests that get through.
type passing struct{ names []string }

func (p *passing) Invoke(_ context.Context, method string, _, _ any, _ ...grpc.CallOption) error {
	p.names = append(p.names, method)
	return nil
}

func (p *passing) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errors.New("no streams")
}

func (p *passing) RoundTrip(r *http.Request) (*http.Response, error) {
	p.names = append(p.names, r.Method+" "+r.URL.Path)
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

// TestFenceStandsAtBothEdges: what changes something needs the lease; what reads,
// or has to do with the lease itself, does not.
func TestFenceStandsAtBothEdges(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Unix(1_700_000_000, 0))
	const core = "/api/v1/namespaces/n/"
	for _, c := range []struct {
		method, path string
		needsLease   bool
	}{
		{http.MethodPost, "/api/v1/persistentvolumes", true},
		{http.MethodPatch, "/api/v1/persistentvolumes/events", true},
		{http.MethodDelete, core + "configmaps/c", true},
		{http.MethodPatch, core + "persistentvolumeclaims/c/status", true},
		{http.MethodPost, "/apis/storage.k8s.io/v1/namespaces/n/csistoragecapacities", true},
		{http.MethodGet, core + "secrets/s", false},
		{http.MethodPut, "/apis/coordination.k8s.io/v1/namespaces/n/leases/l", false},
		{http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", false},
		{http.MethodPost, core + "events", false},
		{http.MethodPatch, core + "events/e", false},
	} {
		f, p := newFence(now), &passing{}
		send := func() error {
			request, err := http.NewRequestWithContext(t.Context(), c.method, "http://api"+c.path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response, err := f.api(p).RoundTrip(request)
			if err == nil {
				_ = response.Body.Close()
			}
			return err
		}
		f.extend("lease", now.Now().Add(time.Hour))
		if err := send(); err != nil {
			t.Errorf("%s %s with the lease: %v", c.method, c.path, err)
		}
		f.extend("lease", now.Now().Add(-time.Hour))
		if err := send(); (err != nil) != c.needsLease || len(p.names) == 2 == c.needsLease {
			t.Errorf("%s %s without the lease: %v; got through: %q", c.method, c.path, err, p.names)
		}
	}
	f, p := newFence(now), &passing{}
	conn := csi.Chain(p, f.driver)
	if err := conn.Invoke(t.Context(), "CreateVolume", nil, nil); err != nil {
		t.Error(err)
	}
	f.extend("lease", now.Now().Add(-time.Hour))
	if err := conn.Invoke(t.Context(), "CreateVolume", nil, nil); !errors.Is(err, csi.ErrStopping) || len(p.names) != 1 {
		t.Errorf("a call without the lease: %v; got through: %q", err, p.names)
	}
}
