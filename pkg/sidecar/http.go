package sidecar

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/klog/v2"
)

const (
	// leaseTolerance is how long past the end of its lease a leader counts as
	// healthy, as in the other CSI sidecars.
	leaseTolerance = 20 * time.Second
	// httpTimeout bounds reading a request; profiles may take longer to write.
	httpTimeout = 10 * time.Second
	// httpShutdown is how long a request may take when the program stops.
	httpShutdown = time.Second
)

// health knows whether the process is fit to work.
type health struct {
	mu     sync.Mutex
	checks map[string]func() error
	leases map[string]*leaderelection.HealthzAdaptor // by name
}

func newHealth() *health {
	h := &health{checks: map[string]func() error{}, leases: map[string]*leaderelection.HealthzAdaptor{}}
	for _, name := range []string{"driver", "caches"} {
		h.checks[name] = func() error { return errors.New("not started yet") }
	}
	h.checks["journal"] = func() error { return nil } // it may be off, or not needed yet
	return h
}

// require makes the process ready only while the check passes.
func (h *health) require(name string, check func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks[name] = check
}

// watch makes the health depend on the elector of a lease: a leader that can't
// renew it is not healthy.
func (h *health) watch(lease string, elector *leaderelection.LeaderElector) {
	h.mu.Lock()
	defer h.mu.Unlock()
	adaptor := leaderelection.NewLeaderHealthzAdaptor(leaseTolerance)
	adaptor.SetLeaderElection(elector)
	h.leases[lease] = adaptor
}

// renewing returns nil, or which lease this process has and can't renew.
func (h *health) renewing() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(h.leases)) {
		if err := h.leases[name].Check(nil); err != nil {
			return fmt.Errorf("lease %s: %w", name, err)
		}
	}
	return nil
}

// ready returns what the process still waits for; nil when it is ready.
func (h *health) ready() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range []string{"driver", "caches", "journal"} {
		if err := h.checks[name](); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// server is the HTTP server; nil when there is none.
type server struct{ http *http.Server }

// serve starts the HTTP server, if there is to be one.
func (p *process) serve(ctx context.Context) (*server, error) {
	if p.config.HTTP.Endpoint == "" {
		return nil, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", p.config.HTTP.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("listening at --http-endpoint=%q: %w", p.config.HTTP.Endpoint, err)
	}
	s := &server{&http.Server{Handler: p.handler(), ReadTimeout: httpTimeout, ReadHeaderTimeout: httpTimeout}}
	go func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			klog.FromContext(ctx).Error(err, "The HTTP server has ended")
		}
	}()
	klog.FromContext(ctx).Info("Serving HTTP", "address", listener.Addr().String())
	return s, nil
}

func (s *server) shutdown(ctx context.Context) {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, httpShutdown)
	defer cancel()
	_ = s.http.Shutdown(ctx)
}

func (p *process) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(p.config.HTTP.MetricsPath, p.metrics.Handler())
	mux.Handle("/livez", answer(func() error { return nil }))
	mux.Handle("/readyz", answer(p.health.ready))
	if p.config.LeaderElection.Enabled {
		mux.Handle("/healthz/leader-election", answer(p.health.renewing))
	}
	if p.config.HTTP.Pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// answer serves "ok", or the error of the check with status 503.
func answer(check func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := check(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok"))
	})
}
