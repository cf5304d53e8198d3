package failpoint

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
)

// journey is what a program does that has a failpoint: the calls that arrive, and
// the end, which returns here so that the rest can be seen.
type journey struct{ steps []string }

func (j *journey) end() { j.steps = append(j.steps, "END") }

func (j *journey) Invoke(_ context.Context, method string, _, _ any, _ ...grpc.CallOption) error {
	j.steps = append(j.steps, method)
	return errors.New("answered")
}

func (j *journey) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errors.New("no streams")
}

func (j *journey) RoundTrip(r *http.Request) (*http.Response, error) {
	sent, _ := io.ReadAll(r.Body)
	j.steps = append(j.steps, strings.TrimSpace(r.Method+" "+string(sent)))
	return &http.Response{StatusCode: http.StatusTeapot, Body: http.NoBody}, nil
}

func TestDriver(t *testing.T) {
	t.Parallel()
	const create, remove = "/csi.v1.Controller/CreateVolume", "/csi.v1.Controller/DeleteVolume"
	for text, want := range map[string][]string{
		"":                      {create, remove, create},
		"before:CreateVolume:1": {"END", create, remove, create},
		"after:CreateVolume:1":  {create, "END", remove, create},
		"before:CreateVolume:2": {create, remove, "END", create},
		"after:CreateVolume:3":  {create, remove, create},
		"after:DeleteVolume:1":  {create, remove, "END", create},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			var j journey
			trigger, err := New(text, j.end)
			if err != nil {
				t.Fatal(err)
			}
			conn := csi.Chain(&j, trigger.Driver)
			for _, method := range []string{create, remove, create} {
				if err := conn.Invoke(t.Context(), method, nil, nil); err == nil || err.Error() != "answered" {
					t.Errorf("the error is %v", err)
				}
			}
			if diff := cmp.Diff(want, j.steps); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAPI(t *testing.T) {
	t.Parallel()
	const volumes, maps = "/api/v1/persistentvolumes", "/api/v1/namespaces/n/configmaps"
	for point, c := range map[string]struct{ method, path, body string }{
		"CreateBatch":            {"POST", maps, "{}"},
		"DropIntents":            {"PATCH", maps + "/s", "{}"},
		"DeleteBatch":            {"DELETE", maps + "/s", "{}"},
		"CreatePersistentVolume": {"POST", volumes, "{}"},
		"SetFinalizers":          {"PATCH", volumes + "/v", `{"metadata":{"finalizers":[]}}`},
		"PatchPersistentVolume":  {"PATCH", volumes + "/v", `{"spec":{}}`},
		"DeletePersistentVolume": {"DELETE", volumes + "/v", "{}"},
		"PatchClaimStatus":       {"PATCH", "/api/v1/namespaces/n/persistentvolumeclaims/c/status", "{}"},
		"UpdateLease":            {"PUT", "/apis/coordination.k8s.io/v1/namespaces/n/leases/l", "{}"},
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			for side, want := range map[string][]string{
				before: {"END", c.method + " " + c.body},
				after:  {c.method + " " + c.body, "END"},
			} {
				var j journey
				trigger, err := New(side+":"+point+":1", j.end)
				if err != nil {
					t.Fatal(err)
				}
				request, err := http.NewRequestWithContext(t.Context(), c.method, "http://api"+c.path, strings.NewReader(c.body))
				if err != nil {
					t.Fatal(err)
				}
				response, err := trigger.Transport(&j).RoundTrip(request)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				if response.StatusCode != http.StatusTeapot {
					t.Errorf("the answer is %v", response)
				}
				if diff := cmp.Diff(want, j.steps); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"CreateVolume":            "want side:point:count",
		"amid:CreateVolume:1":     `the side is "amid"`,
		"after:CreateVolumes:1":   `no point "CreateVolumes": known are CreateVolume,`,
		"after:CreateVolume:0":    "use a number from 1",
		"after:CreateVolume:many": "use a number from 1",
	} {
		if _, err := New(text, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: the error is %v, want it to say %q", text, err, says)
		}
	}
}
