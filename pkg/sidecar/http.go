package sidecar

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
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
	lease *leaderelection.HealthzAdaptor

	mu     sync.Mutex
	checks map[string]func() error
}

func newHealth() *health {
	h := &health{lease: leaderelection.NewLeaderHealthzAdaptor(leaseTolerance), checks: map[string]func() error{}}
	for _, name := range []string{"driver", "caches"} {
		h.checks[name] = func() error { return errors.New("not started yet") }
	}
	return h
}

// require makes the process ready only while the check passes.
func (h *health) require(name string, check func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks[name] = check
}

// watch makes the health depend on an elector: a leader that can't renew its
// lease is not healthy.
func (h *health) watch(elector *leaderelection.LeaderElector) { h.lease.SetLeaderElection(elector) }

// ready returns what the process still waits for; nil when it is ready.
func (h *health) ready() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range []string{"driver", "caches"} {
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
		mux.Handle("/healthz/leader-election", answer(func() error { return p.health.lease.Check(nil) }))
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
