package kube

import (
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

const kubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://api.example:6443"}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: {token: t}}]
current-context: c
`

func writeKubeconfig(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRESTConfig(t *testing.T) {
	file := writeKubeconfig(t, kubeconfig)
	cases := map[string]struct{ master, kubeconfig, want string }{
		"kubeconfig":            {"", file, "https://api.example:6443"},
		"master":                {"http://127.0.0.1:1", "", "http://127.0.0.1:1"},
		"master and kubeconfig": {"http://127.0.0.1:1", file, "http://127.0.0.1:1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			config, err := RESTConfig(c.master, c.kubeconfig, "agent/v1")
			if err != nil {
				t.Fatalf("RESTConfig: %v", err)
			}
			if config.Host != c.want || config.UserAgent != "agent/v1" {
				t.Errorf("host %q, user agent %q, want %q and agent/v1", config.Host, config.UserAgent, c.want)
			}
		})
	}
}

func TestRESTConfigErrors(t *testing.T) {
	// A pod's environment would make this one.
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("KUBERNETES_SERVICE_PORT", "")
	cases := map[string]struct {
		kubeconfig string
		want       []string
	}{
		"nothing given": {"", []string{"finding the API server", "--kubeconfig", "--master"}},
		"missing file":  {"/does/not/exist", []string{`--kubeconfig "/does/not/exist"`}},
		"broken file":   {writeKubeconfig(t, "clusters: {"), []string{"--kubeconfig"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := RESTConfig("", c.kubeconfig, "agent")
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("RESTConfig: error %v, want one with %q", err, want)
				}
			}
		})
	}
}

func TestClientsHaveLimitsOfTheirOwn(t *testing.T) {
	config := &rest.Config{Host: "http://127.0.0.1:1", QPS: 17, Burst: 18}
	cases := map[string]struct {
		limits Limits
		qps    float32 // of Core; 0 for no limit
	}{
		"no limit": {Limits{QPS: 0, Burst: 10}, 0},
		"a limit":  {Limits{QPS: 7, Burst: 8}, 7},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			clients, err := NewClients(config, c.limits, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			for client, want := range map[string]struct{ got, want float32 }{
				"Core":   {qpsOf(clients.Core.CoreV1().RESTClient()), c.qps},
				"Events": {qpsOf(clients.Events.CoreV1().RESTClient()), eventQPS},
				"Leases": {qpsOf(clients.Leases.CoordinationV1().RESTClient()), 0},
			} {
				if want.got != want.want {
					t.Errorf("%s is limited to %v requests a second, want %v", client, want.got, want.want)
				}
			}
		})
	}
}

// qpsOf is the limit of a client; 0 for none.
func qpsOf(client rest.Interface) float32 {
	limiter := client.GetRateLimiter()
	if limiter == nil || reflect.ValueOf(limiter).IsNil() {
		return 0
	}
	return limiter.QPS()
}

func TestLimitedConfig(t *testing.T) {
	config := &rest.Config{Host: "http://127.0.0.1:1", QPS: 17, Burst: 18, UserAgent: "agent"}
	before := rest.CopyConfig(config)
	free, bounded := limited(config, Limits{}), limited(config, Limits{QPS: 7, Burst: 8})
	// 0 would be client-go's default, of 5.
	if free.QPS != -1 {
		t.Errorf("without a limit QPS is %v, want -1", free.QPS)
	}
	if bounded.QPS != 7 || bounded.Burst != 8 || bounded.UserAgent != "agent" {
		t.Errorf("with a limit the configuration is %+v", bounded)
	}
	if _, err := NewClients(config, Limits{QPS: 7, Burst: 8}, time.Second); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(before, config) {
		t.Errorf("the argument was changed from %+v to %+v", before, config)
	}
}

func TestClientsErrors(t *testing.T) {
	config := &rest.Config{Host: "http://127.0.0.1:1", TLSClientConfig: rest.TLSClientConfig{CAFile: "/does/not/exist"}}
	if _, err := NewClients(config, Limits{}, time.Second); err == nil || !strings.Contains(err.Error(), "making a client for the API server") {
		t.Errorf("NewClients: %v", err)
	}
}

// headers are those of the requests that a server has got.
type headers struct {
	mu  sync.Mutex
	all []http.Header
}

func (h *headers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, r.Header)
	w.WriteHeader(http.StatusNotFound)
}

func TestClientsSpeakProtobuf(t *testing.T) {
	seen := &headers{}
	server := httptest.NewServer(seen)
	defer server.Close()
	clients, err := NewClients(&rest.Config{Host: server.URL, UserAgent: "agent/v1"}, Limits{}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, _ = clients.Core.CoreV1().PersistentVolumes().Create(ctx, owned("1", "h"), metav1.CreateOptions{})
	_, _ = clients.Events.CoreV1().Events("x").List(ctx, metav1.ListOptions{})
	_, _ = clients.Leases.CoordinationV1().Leases("x").List(ctx, metav1.ListOptions{})
	_, _ = clients.Metadata.Resource(schema.GroupVersionResource{Version: "v1", Resource: "nodes"}).List(ctx, metav1.ListOptions{})
	if len(seen.all) != 4 {
		t.Fatalf("the server got %d requests, want 4", len(seen.all))
	}
	for n, header := range seen.all {
		if accept := header.Get("Accept"); !strings.HasPrefix(accept, "application/vnd.kubernetes.protobuf") {
			t.Errorf("request %d accepts %q", n, accept)
		}
		if agent := header.Get("User-Agent"); agent != "agent/v1" {
			t.Errorf("request %d is of %q", n, agent)
		}
	}
	if content := seen.all[0].Get("Content-Type"); content != "application/vnd.kubernetes.protobuf" {
		t.Errorf("the PersistentVolume is sent as %q", content)
	}
}

// silence is a server that does not answer before the end.
type silence struct{ end <-chan struct{} }

func (s silence) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-s.end:
		return nil, errors.New("the test has ended")
	}
}

// CancelRequest is asked for by client-go.
func (silence) CancelRequest(*http.Request) {}

func silentServer(t *testing.T) *rest.Config {
	return &rest.Config{Host: "http://127.0.0.1:1", Transport: silence{t.Context().Done()}}
}

// Another process takes over when the lease is not renewed in time: a request
// for it must not take longer.
func TestLeaseRequestsAreBounded(t *testing.T) {
	clients, err := NewClients(silentServer(t), Limits{}, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clients.Leases.CoordinationV1().Leases("x").Get(t.Context(), "y", metav1.GetOptions{}); err == nil {
		t.Error("the request has succeeded")
	}
}

// TestLeasesHaveAConnection: all clients share one connection but those of the lease, which
// must not wait behind a burst of volumes; and nothing is compressed.
func TestLeasesHaveAConnection(t *testing.T) {
	seen := &headers{}
	server := httptest.NewUnstartedServer(seen)
	var opened atomic.Int32
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	clients, err := NewClients(&rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}, Limits{}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	shared := func() {
		_, _ = clients.Core.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
		_, _ = clients.Events.CoreV1().Events("x").List(ctx, metav1.ListOptions{})
		_, _ = clients.Metadata.Resource(schema.GroupVersionResource{Version: "v1", Resource: "nodes"}).List(ctx, metav1.ListOptions{})
	}
	if shared(); opened.Load() != 1 {
		t.Errorf("there are %d connections, want one that is shared", opened.Load())
	}
	_, _ = clients.Leases.CoordinationV1().Leases("x").List(ctx, metav1.ListOptions{})
	if shared(); opened.Load() != 2 {
		t.Errorf("there are %d connections with that of the lease, want 2", opened.Load())
	}
	for _, header := range seen.all {
		if encoding := header.Get("Accept-Encoding"); encoding != "" {
			t.Errorf("a request accepts the encoding %q", encoding)
		}
	}
}
