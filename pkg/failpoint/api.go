package failpoint

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
)

// apiPoint is a kind of request to the API server.
type apiPoint struct {
	name, method string
	path         *regexp.Regexp
	// body tells patches of one object apart; nil for any.
	body *regexp.Regexp
}

// apiPoints are the writes to the API server, the more special ones first. The
// ConfigMaps are the journal's batches.
func apiPoints() []apiPoint {
	const object = `/[^/]+$`
	finalizers := regexp.MustCompile(`"finalizers":`)
	return []apiPoint{
		{"CreateBatch", http.MethodPost, regexp.MustCompile(`/configmaps$`), nil},
		{"DropIntents", http.MethodPatch, regexp.MustCompile(`/configmaps` + object), nil},
		{"DeleteBatch", http.MethodDelete, regexp.MustCompile(`/configmaps` + object), nil},
		{"CreatePersistentVolume", http.MethodPost, regexp.MustCompile(`/persistentvolumes$`), nil},
		{"SetFinalizers", http.MethodPatch, regexp.MustCompile(`/persistentvolumes` + object), finalizers},
		{"PatchPersistentVolume", http.MethodPatch, regexp.MustCompile(`/persistentvolumes` + object), nil},
		{"DeletePersistentVolume", http.MethodDelete, regexp.MustCompile(`/persistentvolumes` + object), nil},
		{"PatchClaimStatus", http.MethodPatch, regexp.MustCompile(`/persistentvolumeclaims/[^/]+/status$`), nil},
		{"UpdateLease", http.MethodPut, regexp.MustCompile(`/leases` + object), nil},
	}
}

// Points returns the names of all points.
func Points() []string {
	points := driverPoints()
	for _, point := range apiPoints() {
		points = append(points, point.name)
	}
	return points
}

// Transport puts the failpoint around the requests of a transport to the API
// server.
func (t *Trigger) Transport(next http.RoundTripper) http.RoundTripper {
	return transport{next: next, trigger: t, points: apiPoints()}
}

type transport struct {
	next    http.RoundTripper
	trigger *Trigger
	points  []apiPoint
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	point := t.find(request)
	t.trigger.pass(before, point)
	response, err := t.next.RoundTrip(request)
	t.trigger.pass(after, point)
	return response, err
}

// find returns the name of the request's point, empty for none.
func (t transport) find(request *http.Request) string {
	for _, point := range t.points {
		if point.method == request.Method && point.path.MatchString(request.URL.Path) &&
			(point.body == nil || point.body.Match(body(request))) {
			return point.name
		}
	}
	return ""
}

// body returns a copy of what is sent, as far as it can be read twice.
func body(request *http.Request) []byte {
	if request.GetBody == nil {
		return nil
	}
	reader, err := request.GetBody()
	if err != nil {
		return nil
	}
	var content bytes.Buffer
	_, _ = io.Copy(&content, reader) // a request that can't be read is sent as it is
	return content.Bytes()
}
