package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Requests measures the requests to the API server, as client-go does for those who
// share one registry in a process: rest_client_requests_total and
// rest_client_request_duration_seconds.
type Requests struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// failedRequest is the label of requests that have no answer, as client-go has it.
const failedRequest = "<error>"

func newRequests(registry *prometheus.Registry) *Requests {
	r := &Requests{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Subsystem: "rest_client", Name: "requests_total",
			Help: "Requests to the API server, by status, method and host.",
		}, []string{"code", "method", "host"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Subsystem: "rest_client", Name: "request_duration_seconds",
			Help:    "Seconds until the API server answers, by method and host.",
			Buckets: []float64{0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60},
		}, []string{"verb", "host"}),
	}
	registry.MustRegister(r.total, r.duration)
	return r
}

// Measure returns what makes, of a transport, one that measures what goes through it;
// it is for rest.Config.Wrap.
func (r *Requests) Measure(now func() time.Time) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper { return measured{r, next, now} }
}

type measured struct {
	*Requests
	next http.RoundTripper
	now  func() time.Time
}

// RoundTrip implements http.RoundTripper.
func (m measured) RoundTrip(request *http.Request) (*http.Response, error) {
	began := m.now()
	response, err := m.next.RoundTrip(request)
	m.duration.WithLabelValues(request.Method, request.URL.Host).Observe(m.now().Sub(began).Seconds())
	code := failedRequest
	if err == nil {
		code = strconv.Itoa(response.StatusCode)
	}
	m.total.WithLabelValues(code, request.Method, request.URL.Host).Inc()
	return response, err
}
