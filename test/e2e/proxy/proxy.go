package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// headerTimeout bounds the time that a client takes to send a request's header.
const headerTimeout = 10 * time.Second

// Proxy is one that runs.
type Proxy struct {
	server  *http.Server
	address string
	forward *httputil.ReverseProxy

	mu         sync.Mutex
	injections []*Injection
	writes     []*Write
	reads      []string
}

// Write is a request that changes something.
type Write struct {
	Method, Path string
	// Body is JSON for patches, and mostly protobuf for what is created.
	Body []byte
	// Code is what the client was answered, of HTTP; 0 while it waits, and for a
	// client that gave up.
	Code int
	// Answer is the body of the answer.
	Answer []byte
}

// Start starts a proxy for the API server, and with the identity, of the
// configuration.
func Start(config *rest.Config) (*Proxy, error) {
	upstream, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("starting a proxy for %q: %w", config.Host, err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("starting a proxy for %q: %w", config.Host, err)
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a proxy: %w", err)
	}
	p := &Proxy{address: listener.Addr().String()}
	p.forward = &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // watches
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(upstream) },
		// A client, or an API server, that is killed is what many tests are about.
		ErrorLog: log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				http.Error(w, err.Error(), http.StatusBadGateway)
			}
		},
	}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: headerTimeout}
	go func() { _ = p.server.Serve(listener) }()
	return p, nil
}

// URL is where the proxy serves.
func (p *Proxy) URL() string { return "http://" + p.address }

// Close ends the proxy and all requests.
func (p *Proxy) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, injection := range p.injections {
		injection.Remove()
	}
	return p.server.Close()
}

// Add adds a rule. Rules are tried in the order in which they were added; the
// first that matches and is not used up applies, alone.
func (p *Proxy) Add(rule Rule) *Injection {
	injection := newInjection(rule)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.injections = append(p.injections, injection)
	return injection
}

// Writes returns copies of the writes that match, in the order of their arrival.
func (p *Proxy) Writes(match Match) []Write {
	matcher := match.compile()
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []Write
	for _, write := range p.writes {
		if matcher.matches(write.Method, write.Path, write.Body) {
			found = append(found, *write)
		}
	}
	return found
}

// Reads returns the paths of the requests that read and match, in the order of
// their arrival.
func (p *Proxy) Reads(match Match) []string {
	matcher := match.compile()
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []string
	for _, path := range p.reads {
		if matcher.matches(http.MethodGet, path, nil) {
			found = append(found, path)
		}
	}
	return found
}

// Forget lets go of what has been noted so far, for tests that last.
func (p *Proxy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes, p.reads = nil, nil
}

// ServeHTTP forwards one request, as far as the rules let it.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		p.serve(w, r, nil)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	write := &Write{Method: r.Method, Path: r.URL.Path, Body: body}
	p.mu.Lock()
	p.writes = append(p.writes, write)
	p.mu.Unlock()
	answer := httptest.NewRecorder()
	p.serve(answer, r, body)
	if r.Context().Err() != nil {
		return // The client gave up, and the answer may be cut off.
	}
	p.note(write, answer)
	copyAnswer(w, answer)
}

// note notes an answer, before the client has it.
func (p *Proxy) note(write *Write, answer *httptest.ResponseRecorder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	write.Code, write.Answer = answer.Code, answer.Body.Bytes()
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request, body []byte) {
	injection := p.take(r, body)
	switch {
	case injection == nil:
		p.forward.ServeHTTP(w, r)
	case injection.rule.When == After:
		answer := httptest.NewRecorder()
		p.forward.ServeHTTP(answer, r)
		if !injection.hit(r.Context()) {
			return
		}
		if injection.rule.Status != nil {
			fail(w, injection.rule.Status)
			return
		}
		copyAnswer(w, answer)
	case injection.hit(r.Context()):
		if injection.rule.Status != nil {
			fail(w, injection.rule.Status)
			return
		}
		p.forward.ServeHTTP(w, r)
	}
}

// take returns the rule for a request, or nil.
func (p *Proxy) take(r *http.Request, body []byte) *Injection {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Method == http.MethodGet {
		p.reads = append(p.reads, r.URL.Path)
	}
	for _, injection := range p.injections {
		if injection.take(r.Method, r.URL.Path, body) {
			return injection
		}
	}
	return nil
}

func fail(w http.ResponseWriter, status *metav1.Status) {
	if status.Details != nil && status.Details.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(status.Details.RetryAfterSeconds)))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(status.Code))
	_ = json.NewEncoder(w).Encode(status) // a client that has gone needs no answer
}

func copyAnswer(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for key, values := range answer.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // likewise
}
