package sidecar

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
	"github.com/csi-provisioner/csi-provisioner/pkg/options"
)

func newServed(change func(*options.Config)) *process {
	p := &process{health: newHealth(), metrics: metrics.New()}
	p.config.HTTP.MetricsPath = "/metrics"
	if change != nil {
		change(&p.config)
	}
	return p
}

// get returns the status and the body of what is served at a path.
func get(p *process, path string) (int, string) {
	recorder := httptest.NewRecorder()
	p.handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder.Code, strings.TrimSpace(recorder.Body.String())
}

func TestReadiness(t *testing.T) {
	p := newServed(nil)
	expect := func(when string, code int, body string) {
		t.Helper()
		if gotCode, gotBody := get(p, "/readyz"); gotCode != code || gotBody != body {
			t.Errorf("%s: %d %q, want %d %q", when, gotCode, gotBody, code, body)
		}
		if code, body := get(p, "/livez"); code != http.StatusOK || body != "ok" {
			t.Errorf("%s: the process is not alive: %d %q", when, code, body)
		}
	}
	expect("at first", http.StatusServiceUnavailable, "driver: not started yet")
	var away error
	p.health.require("driver", func() error { return away })
	expect("with a driver", http.StatusServiceUnavailable, "caches: not started yet")
	p.health.require("caches", func() error { return nil })
	expect("with caches", http.StatusOK, "ok")
	away = errors.New("the connection is lost")
	expect("when the driver goes", http.StatusServiceUnavailable, "driver: the connection is lost")
	away = nil
	expect("when it is back", http.StatusOK, "ok")
	p.health.require("journal", func() error { return errors.New("add this rule") })
	expect("without the rights to the journal", http.StatusServiceUnavailable, "journal: add this rule")
}

func TestPaths(t *testing.T) {
	elected := func(c *options.Config) { c.LeaderElection.Enabled = true }
	cases := map[string]struct {
		change func(*options.Config)
		path   string
		code   int
		body   string // a part of it
	}{
		"metrics":             {nil, "/metrics", http.StatusOK, "go_goroutines"},
		"metrics elsewhere":   {func(c *options.Config) { c.HTTP.MetricsPath = "/m" }, "/m", http.StatusOK, "go_goroutines"},
		"not there then":      {func(c *options.Config) { c.HTTP.MetricsPath = "/m" }, "/metrics", http.StatusNotFound, ""},
		"leader election":     {elected, "/healthz/leader-election", http.StatusOK, "ok"},
		"without an election": {nil, "/healthz/leader-election", http.StatusNotFound, ""},
		"profiles":            {func(c *options.Config) { c.HTTP.Pprof = true }, "/debug/pprof/", http.StatusOK, "goroutine"},
		"a profile":           {func(c *options.Config) { c.HTTP.Pprof = true }, "/debug/pprof/cmdline", http.StatusOK, os.Args[0]},
		"a symbol":            {func(c *options.Config) { c.HTTP.Pprof = true }, "/debug/pprof/symbol", http.StatusOK, "num_symbols"},
		"no profiles":         {nil, "/debug/pprof/", http.StatusNotFound, ""},
		"something else":      {nil, "/", http.StatusNotFound, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if code, body := get(newServed(c.change), c.path); code != c.code || !strings.Contains(body, c.body) {
				t.Errorf("%d %.100q, want %d with %q", code, body, c.code, c.body)
			}
		})
	}
}

// A leader that can't renew its lease, and has not ended either, is to be
// restarted; one that only waits is not.
func TestLeaseHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &registry{}
		p := newServed(func(c *options.Config) { c.LeaderElection.Enabled = true })
		path := &connection{registry: r}
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta: metav1.ObjectMeta{Name: "lease"}, Client: path,
				LockConfig: resourcelock.ResourceLockConfig{Identity: "me"},
			},
			Name: "lease", LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
			Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) {}, OnStoppedLeading: func() {}},
		})
		if err != nil {
			t.Fatal(err)
		}
		p.health.watch("lease", elector)
		if code, body := get(p, "/healthz/leader-election"); code != http.StatusOK {
			t.Errorf("before the election: %d %q", code, body)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			elector.Run(t.Context())
		}()
		time.Sleep(time.Minute)
		path.disconnect()
		<-done
		time.Sleep(leaseDuration)
		if code, body := get(p, "/healthz/leader-election"); code != http.StatusOK {
			t.Errorf("when the lease is lost: %d %q", code, body)
		}
		time.Sleep(leaseTolerance)
		code, body := get(p, "/healthz/leader-election")
		if code != http.StatusServiceUnavailable || !strings.HasPrefix(body, "lease lease: ") {
			t.Errorf("long after the lease was lost: %d %q", code, body)
		}
	})
}

func TestServe(t *testing.T) {
	p := newServed(func(c *options.Config) { c.HTTP.Endpoint = "127.0.0.1:0" })
	var log strings.Builder
	ctx := logTo(t.Context(), &log)
	s, err := p.serve(ctx)
	if err != nil {
		t.Fatalf("serve: %v", err)
	}
	_, address, _ := strings.Cut(log.String(), `"address"="`)
	address, _, _ = strings.Cut(address, `"`)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/livez", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("the address %q of the log does not answer: %v", address, err)
	}
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if string(body) != "ok" {
		t.Errorf("the answer is %q", body)
	}
	s.shutdown(ctx)
	if response, err := http.DefaultClient.Do(request); err == nil {
		_ = response.Body.Close()
		t.Error("the server answers after its end")
	}
}

// TestSlowRequestsEnd: who opens connections and says nothing must not hold them.
func TestSlowRequestsEnd(t *testing.T) {
	s, err := newServed(func(c *options.Config) { c.HTTP.Endpoint = "127.0.0.1:0" }).serve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.shutdown(t.Context())
	if s.http.ReadHeaderTimeout != httpTimeout || s.http.ReadTimeout != httpTimeout {
		t.Errorf("a request may take %s, its header %s, want %s", s.http.ReadTimeout, s.http.ReadHeaderTimeout, httpTimeout)
	}
}

func TestServeNothing(t *testing.T) {
	s, err := newServed(nil).serve(t.Context())
	if s != nil || err != nil {
		t.Errorf("serve without an endpoint = %v, %v", s, err)
	}
	s.shutdown(t.Context()) // must not fail
}

func TestServeWhereItCannot(t *testing.T) {
	p := newServed(func(c *options.Config) { c.HTTP.Endpoint = "127.0.0.1:none" })
	if _, err := p.serve(t.Context()); err == nil || !strings.Contains(err.Error(), `--http-endpoint="127.0.0.1:none"`) {
		t.Errorf("serve: %v", err)
	}
}
