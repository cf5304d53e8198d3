package metrics_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/csi-provisioner/csi-provisioner/pkg/metrics"
)

// ticking returns a clock that goes on by a second whenever it is looked at.
func ticking() func() time.Time {
	now := time.Unix(1_700_000_000, 0)
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

// answering is a transport whose answers have that status; 0 is for none.
type answering int

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	if a == 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: int(a)}, nil
}

// TestRequestsAreMeasured: each by its result, and those without an answer, too.
func TestRequestsAreMeasured(t *testing.T) {
	set := metrics.New()
	for _, status := range []int{http.StatusCreated, http.StatusCreated, http.StatusConflict, 0} {
		transport := set.Requests.Measure(ticking())(answering(status))
		response, err := transport.RoundTrip(httptest.NewRequest(http.MethodPost, "http://api.example/api/v1/x", nil)) //nolint:bodyclose // There is none.
		if (err == nil) != (status != 0) || err == nil && response.StatusCode != status {
			t.Errorf("the answer is %v, %v, want that of the transport: %d", response, err, status)
		}
	}
	text := scrape(t, set.Handler())
	for _, want := range []string{
		`rest_client_requests_total{code="201",host="api.example",method="POST"} 2`,
		`rest_client_requests_total{code="409",host="api.example",method="POST"} 1`,
		`rest_client_requests_total{code="<error>",host="api.example",method="POST"} 1`,
		`rest_client_request_duration_seconds_count{host="api.example",verb="POST"} 4`,
		`rest_client_request_duration_seconds_sum{host="api.example",verb="POST"} 4`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("there is no line %s", want)
		}
	}
}
