package proxy

import (
	"context"
	"net/http"
	"regexp"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// When says on which side of the work a rule acts.
type When string

const (
	// Before the request is forwarded: the API server never hears of it. The
	// default.
	Before When = "before"
	// After the API server has answered: what was done stays done, and the client
	// does not learn of it.
	After When = "after"
)

// Match selects requests. All that is set must hold.
type Match struct {
	// Method is that of HTTP, such as PATCH.
	Method string
	// Path is a regular expression for the path.
	Path string
	// Body is a regular expression for the body, which for patches is JSON.
	Body string
}

// Rule changes what becomes of the requests that it matches: it keeps them until
// it is removed, and then it fails them, or, without a Status, lets them go on.
type Rule struct {
	Match Match
	// Skip is how many matching requests are let through first.
	Skip int
	// Count is how many the rule applies to after that; zero is all of them.
	Count int
	// When is the side of the work on which Hold and Status act.
	When When
	// Hold keeps the request until the rule is removed or the client gives up.
	Hold bool
	// Status is the answer, see [Conflict] and others; nil for that of the API
	// server.
	Status *metav1.Status
}

// Conflict is the answer to a precondition that does not hold.
func Conflict() *metav1.Status {
	return failure(http.StatusConflict, metav1.StatusReasonConflict, "the object has been modified; please apply your changes to the latest version and try again")
}

// TooManyRequests is the answer of an API server that wants a client to come
// again after so many seconds.
func TooManyRequests(seconds int32) *metav1.Status {
	status := failure(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "too many requests, please try again later")
	status.Details = &metav1.StatusDetails{RetryAfterSeconds: seconds}
	return status
}

// InternalError is the answer of an API server that is not well.
func InternalError() *metav1.Status {
	return failure(http.StatusInternalServerError, metav1.StatusReasonInternalError, "an error on the server has been injected")
}

// Timeout is the answer of an API server whose storage did not answer in time:
// the request may have been done.
func Timeout() *metav1.Status {
	return failure(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "request did not complete within the allotted timeout")
}

func failure(code int32, reason metav1.StatusReason, message string) *metav1.Status {
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure,
		Code:     code,
		Reason:   reason,
		Message:  message,
	}
}

// matcher is a Match whose expressions are compiled.
type matcher struct {
	method     string
	path, body *regexp.Regexp
}

// compile panics when an expression is wrong, which is a mistake in the test.
func (m Match) compile() matcher {
	return matcher{method: m.Method, path: regexp.MustCompile(m.Path), body: regexp.MustCompile(m.Body)}
}

func (m matcher) matches(method, path string, body []byte) bool {
	return (m.method == "" || m.method == method) && m.path.MatchString(path) && m.body.Match(body)
}

// Injection is a rule at work.
type Injection struct {
	rule    Rule
	matcher matcher
	removed chan struct{}
	remove  sync.Once

	mu      sync.Mutex
	skipped int
	taken   int
	hits    int
	changed chan struct{} // closed and replaced with each hit
}

func newInjection(rule Rule) *Injection {
	return &Injection{rule: rule, matcher: rule.Match.compile(), removed: make(chan struct{}), changed: make(chan struct{})}
}

// Remove ends the rule, and lets the requests go on that it keeps.
func (i *Injection) Remove() { i.remove.Do(func() { close(i.removed) }) }

// Hits is how many requests the rule has been applied to. With Hold they have
// reached it; When After, the API server has answered them.
func (i *Injection) Hits() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hits
}

// Wait waits until the rule has been applied to that many requests.
func (i *Injection) Wait(ctx context.Context, hits int) error {
	for {
		i.mu.Lock()
		enough, changed := i.hits >= hits, i.changed
		i.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take tells whether the rule applies to a request.
func (i *Injection) take(method, path string, body []byte) bool {
	select {
	case <-i.removed:
		return false
	default:
	}
	if !i.matcher.matches(method, path, body) {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.skipped < i.rule.Skip {
		i.skipped++
		return false
	}
	if i.rule.Count != 0 && i.taken == i.rule.Count {
		return false
	}
	i.taken++
	return true
}

// hit counts a request, and keeps it if the rule says so; false when the client
// gave up meanwhile.
func (i *Injection) hit(ctx context.Context) bool {
	i.mu.Lock()
	i.hits++
	close(i.changed)
	i.changed = make(chan struct{})
	i.mu.Unlock()
	if !i.rule.Hold {
		return true
	}
	select {
	case <-i.removed:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
