package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

const claimPath = "/api/v1/namespaces/n/persistentvolumeclaims/c/status"

// start returns a proxy for a server that counts what it gets.
func start(t *testing.T) (*Proxy, *atomic.Int32) {
	t.Helper()
	var got atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Add(1)
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s as %s", body, r.Header.Get("Authorization"))
	}))
	t.Cleanup(server.Close)
	p, err := Start(&rest.Config{Host: server.URL, BearerToken: "token"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, &got
}

// answer is what a client gets.
type answer struct {
	code   int
	header http.Header
	body   string
}

func patch(ctx context.Context, p *Proxy, body string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPatch, p.URL()+claimPath, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(content)}, err
}

func TestForwardsAndRecords(t *testing.T) {
	t.Parallel()
	p, _ := start(t)
	got, err := patch(t.Context(), p, `{"a":1}`)
	if err != nil || got.code != http.StatusOK || got.body != `{"a":1} as Bearer token` {
		t.Errorf("got %v, %v", got, err)
	}
	want := []Write{{Method: "PATCH", Path: claimPath, Body: []byte(`{"a":1}`), Code: http.StatusOK, Answer: []byte(got.body)}}
	if diff := cmp.Diff(want, p.Writes(Match{Path: "/status$"})); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if got := p.Writes(Match{Method: "POST"}); len(got) != 0 {
		t.Errorf("another method has %v", got)
	}
}

// TestCutOff: of an answer whose client gives up in the middle, nothing is noted.
func TestCutOff(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		fmt.Fprint(w, `{"half":`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	p, err := Start(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	p.forward.ModifyResponse = func(*http.Response) error {
		close(begun)
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-begun
		cancel()
	}()
	if _, err := patch(ctx, p, "{}"); err == nil {
		t.Error("the client has had an answer")
	}
	<-ended
	if diff := cmp.Diff([]Write{{Method: "PATCH", Path: claimPath, Body: []byte("{}")}}, p.Writes(Match{})); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule      Rule
		codes     []int // of three patches
		forwarded int32
	}{
		"before":        {Rule{Status: Conflict(), Count: 1}, []int{409, 200, 200}, 2},
		"after":         {Rule{Status: Timeout(), Count: 1, When: After}, []int{504, 200, 200}, 3},
		"skip":          {Rule{Status: InternalError(), Skip: 1, Count: 1}, []int{200, 500, 200}, 2},
		"all":           {Rule{Status: TooManyRequests(7)}, []int{429, 429, 429}, 0},
		"another path":  {Rule{Status: Conflict(), Match: Match{Path: "/persistentvolumes/"}}, []int{200, 200, 200}, 3},
		"body":          {Rule{Status: Conflict(), Match: Match{Body: `"n":1`}}, []int{200, 409, 200}, 2},
		"after, answer": {Rule{When: After}, []int{200, 200, 200}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, forwarded := start(t)
			injected := p.Add(c.rule)
			for n, want := range c.codes {
				got, err := patch(t.Context(), p, fmt.Sprintf(`{"n":%d}`, n))
				if err != nil {
					t.Fatal(err)
				}
				if got.code != want {
					t.Errorf("patch %d was answered %d, want %d", n, got.code, want)
				}
				if want == http.StatusTooManyRequests && got.header.Get("Retry-After") != "7" {
					t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
				}
			}
			if got := forwarded.Load(); got != c.forwarded {
				t.Errorf("%d patches were forwarded, want %d", got, c.forwarded)
			}
			injected.Remove()
			if got, err := patch(t.Context(), p, `{"n":1}`); err != nil || got.code != http.StatusOK {
				t.Errorf("without the rule: %v, %v", got, err)
			}
		})
	}
}

// TestHold: a request is kept until the rule goes, and is never forwarded when
// its client has gone before.
func TestHold(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]bool{"removed": false, "client gone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, forwarded := start(t)
			injected := p.Add(Rule{Hold: true})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := patch(ctx, p, "{}")
				done <- err
			}()
			if err := injected.Wait(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			if forwarded.Load() != 0 {
				t.Error("the request was forwarded at once")
			}
			want := int32(1)
			if gone {
				want = 0
				cancel()
			} else {
				injected.Remove()
			}
			if err := <-done; (err != nil) != gone {
				t.Errorf("the client has %v", err)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			if got := forwarded.Load(); got != want {
				t.Errorf("forwarded %d times, want %d", got, want)
			}
		})
	}
}

// TestStreams: what a watch sends arrives while it goes on.
func TestStreams(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-more
		fmt.Fprintln(w, "second")
	}))
	t.Cleanup(server.Close)
	p, err := Start(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL()+"/api/v1/pods?watch=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	if !lines.Scan() || lines.Text() != "first" {
		t.Fatalf("got %q, %v", lines.Text(), lines.Err())
	}
	close(more)
	if !lines.Scan() || lines.Text() != "second" {
		t.Errorf("got %q, %v", lines.Text(), lines.Err())
	}
	if diff := cmp.Diff([]string{"/api/v1/pods"}, p.Reads(Match{})); diff != "" {
		t.Errorf("reads (-want +got):\n%s", diff)
	}
	if got := p.Writes(Match{}); len(got) != 0 {
		t.Errorf("a watch counts as %v", got)
	}
}

// TestStatus: clients need the reason, not the code alone.
func TestStatus(t *testing.T) {
	t.Parallel()
	p, _ := start(t)
	p.Add(Rule{Status: Conflict()})
	got, err := patch(t.Context(), p, "{}")
	if err != nil || got.header.Get("Content-Type") != "application/json" || !strings.Contains(got.body, string(metav1.StatusReasonConflict)) {
		t.Errorf("got %v, %v", got, err)
	}
}
